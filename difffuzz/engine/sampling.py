# SPDX-License-Identifier: GPL-2.0-only
"""Samples a program's schedules on two sides, under a series: each run teaches the next one.

What a search of all schedules with few preemptions (explore.py) cannot come to the end of, this
sees a bit of everywhere.  It needs no reduction, so that sides may be the kernel's own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from random import Random

from difffuzz.engine.concurrent import Abandoned, SideRun, schedule_of
from difffuzz.engine.explore import STEPS, Exploration, Stop
from difffuzz.errors import UsageError
from difffuzz.oracle import Verdict
from difffuzz.program import Program
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.series import SERIES, Known
from difffuzz.sched.strategy import Record
from difffuzz.sides import KvmFactory, NativeFactory, SideFactory

NATIVE_STEPS = 10
"""Steps of the kernel's own code for each of a model's."""


def sample(
    program: Program,
    left: SideFactory,
    right: SideFactory,
    series: str,
    *,
    seed: int = 0,
    schedules: int = 0,
    first_only: bool = False,
    sides: Sequence[int] = (0, 1),
    stop: Stop = lambda found: False,
) -> Exploration:
    """Runs so many schedules on each side (0: no limit) until `stop`, which is asked between two
    runs; UsageError for a side without threads.

    The first divergence of a signature is kept, or the one with the shortest schedule; with
    `first_only` a side is left with its first.
    """
    found = Exploration()
    found.complete = False
    for number in sides:
        factory = (left, right)[number]
        if not isinstance(factory, KvmFactory):
            raise UsageError(f"side {factory.name!r} has no threads to explore")
        _sample_side(program, factory, number, series, seed, schedules, first_only, found, stop)
        found.ends.append(set())
    return found


def _sample_side(
    program: Program,
    factory: KvmFactory,
    number: int,
    series: str,
    seed: int,
    schedules: int,
    first_only: bool,
    found: Exploration,
    stop: Stop,
) -> None:
    known = Known()
    made = SERIES[series](Random(seed), known)
    steps = STEPS * NATIVE_STEPS if isinstance(factory, NativeFactory) else STEPS
    before = len(found.shown)
    while not schedules or known.runs < schedules:
        run = made.next()
        verdict = Verdict()
        record = Record(run)
        sched = Interleaver(record, steps)
        with suppress(Abandoned):
            SideRun(program, factory, number, verdict, sched).run()
        made.learn(run, known.learn(run))
        found.schedules += 1
        found.steps += sched.steps
        found.features |= verdict.features
        for divergence in verdict.divergences[:1]:
            found.show(divergence, schedule_of(record))
        if stop(found) or (first_only and len(found.shown) > before):
            return
