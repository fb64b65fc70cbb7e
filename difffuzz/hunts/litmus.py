# SPDX-License-Identifier: GPL-2.0-only
"""Hunts a bug with the catalogue's program of it, under many schedules if it needs one."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from ..program import Program, parse, render
from ..variants.catalogue import Bug
from .judge import Judge
from .kernel import is_race
from .row import Row

STEPS = 400
"""Where a schedule may preempt, from the start of the program."""


def litmus(bug: Bug, row: Row, judge: Judge, seconds: float) -> None:
    """Runs the program until it shows the bug, so long at most; one that needs no schedule once."""
    parsed = parse(bug.program_on(row.kernel), bug.id)
    began = time.monotonic()
    for candidate in scheduled(parsed, row.seed) if is_race(bug) else [parsed]:
        row.executions += 1
        row.signature = judge.shown(candidate)
        row.seconds = round(time.monotonic() - began, 1)
        if row.signature:
            row.found, row.program = True, render(candidate)
        if row.found or row.seconds > seconds:
            break


def scheduled(parsed: Program, seed: int) -> Iterator[Program]:
    """The program with one preemption, everywhere; then with some, anywhere; without end."""
    threads = sorted({op.thread for op in parsed.ops})
    for step in range(1, STEPS):
        for thread in threads:
            yield parsed._replace(schedule=((step, thread),))
    rng = random.Random(seed)
    while True:
        steps = sorted(rng.sample(range(1, STEPS), rng.choice((2, 2, 3, 3, 4))))
        yield parsed._replace(schedule=tuple((step, rng.choice(threads)) for step in steps))
