# SPDX-License-Identifier: GPL-2.0-only
"""Many programs on pairs of sides that should be the same, and what they disagree about."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from difffuzz.engine.conform import Disagreement, conform, conform_scheduled
from difffuzz.errors import UsageError
from difffuzz.program import Program, generate, normalise
from difffuzz.sides import KvmFactory

Compare = Callable[[Program], Disagreement | None]


class Pair(NamedTuple):
    """Two sides that should be the same."""

    left: KvmFactory
    right: KvmFactory

    def can_run(self, program: Program) -> bool:
        """A nonpaging guest needs the legacy MMU."""
        return program.config.paging == "tdp" or not self.left.tdp_mmu


class Found(NamedTuple):
    """A disagreement with the program that shows it, shrunk."""

    pair: Pair
    program: Program
    seed: int | None
    """Of the schedule; None: one operation at a time."""
    disagreement: Disagreement


class Tally:
    """What a comparison has seen so far."""

    def __init__(self) -> None:
        self.programs = 0
        self.schedules = 0
        self.agreed = 0
        self.found: list[Found] = []
        self.stopped = False


def programs_of(files: Iterable[Program], runs: int, seed: int) -> Iterator[Program]:
    """The given programs, then generated ones."""
    yield from files
    rng = random.Random(seed)
    for _ in range(runs):
        yield generate(rng)


def compare(
    pairs: list[Pair],
    programs: Iterable[Program],
    schedules: int,
    stop: Callable[[Tally], bool],
) -> Tally:
    """Runs every program on every pair, and the first `schedules` of them with schedules too.

    `stop` is asked after each program: True ends it, with the tally's `stopped` set.
    """
    tally = Tally()
    for number, program in enumerate(programs):
        for pair in pairs:
            if not pair.can_run(program):
                continue
            tally.programs += 1
            _one(tally, pair, program, None)
            if number < schedules and len({op.thread for op in program.ops}) > 1:
                tally.schedules += 1
                _one(tally, pair, program, number)
        if stop(tally):
            tally.stopped = True
            break
    return tally


def _one(tally: Tally, pair: Pair, program: Program, seed: int | None) -> None:
    run: Compare = partial(conform, left=pair.left, right=pair.right)
    if seed is not None:
        run = partial(conform_scheduled, left=pair.left, right=pair.right, seed=seed)
    try:
        disagreement = run(program)
    except UsageError:
        return  # a side cannot run such a configuration
    if disagreement is None:
        tally.agreed += 1
        return
    program = shrink(program, disagreement, run)
    tally.found.append(Found(pair, program, seed, run(program) or disagreement))


def shrink(program: Program, disagreement: Disagreement, run: Compare) -> Program:
    """Drops operations while the same thing still differs."""
    size = len(program.ops)
    while size:
        start = 0
        while start < len(program.ops):
            ops = program.ops[:start] + program.ops[start + size :]
            # What needed what is gone goes, too: without its creation there is no vCPU, say.
            smaller = normalise(program._replace(ops=ops))
            found = run(smaller)
            if found is not None and found.what == disagreement.what:
                program = smaller
            else:
                start += size
        size //= 2
    return program
