# SPDX-License-Identifier: GPL-2.0-only
"""Samples a program's schedules on two sides, under a series: each run teaches the next one.

What a search of all schedules with few preemptions (explore.py) cannot come to the end of, this
sees a bit of everywhere.  It needs no reduction, so that sides may be the kernel's own code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from difffuzz.engine.concurrent import Abandoned, machine_for, schedule_of
from difffuzz.engine.explore import STEPS, Exploration, Stop, report_circles
from difffuzz.engine.guest_concurrent import side_run
from difffuzz.errors import UsageError
from difffuzz.oracle import Verdict
from difffuzz.program import Program
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.series import SERIES, Known
from difffuzz.sched.strategy import Delays, Record, Strategy
from difffuzz.sched.task import Task
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
    phase: int = 0,
    sides: Sequence[int] = (0, 1),
    stop: Stop = lambda found: False,
    delays: bool = False,
) -> Exploration:
    """Runs so many schedules on each side (0: no limit) until `stop`, which is asked between two
    runs; UsageError for a side without threads.

    The first divergence of a signature is kept, or the one with the shortest schedule; with
    `first_only` a side is left with its first.  `phase`, counted from 1: where schedules differ; 0
    for everywhere.  `delays`: stores may be delayed, as on x86; which, is drawn.
    """
    found = Exploration()
    found.complete = False
    for number in sides:
        factory = (left, right)[number]
        if not isinstance(factory, KvmFactory):
            raise UsageError(f"side {factory.name!r} has no threads to explore")
        known = Known()
        rng = Random(seed) if delays else None
        made = SERIES[series](Random(seed), known)
        before = len(found.shown)
        while not schedules or known.runs < schedules:
            run = made.next()
            _once(program, factory, number, run, phase, found, rng)
            made.learn(run, known.learn(run))
            if stop(found) or (first_only and len(found.shown) > before):
                break
        found.ends.append(set())
    return found


class OnePhase(Interleaver):
    """Has one phase watched, counted from 1, or with 0 all."""

    __slots__ = ("_only", "_phase")

    def __init__(self, strategy: Strategy, step_limit: int, only: int) -> None:
        super().__init__(strategy, step_limit)
        self._only = only
        self._phase = 0

    def run(self, bodies: Sequence[tuple[Task, Callable[[], None]]]) -> None:
        """A phase."""
        self._phase += 1
        self.watched = self._only in (0, self._phase)
        super().run(bodies)


def _once(
    program: Program,
    factory: KvmFactory,
    number: int,
    strategy: Strategy,
    phase: int,
    found: Exploration,
    rng: Random | None,
) -> None:
    """One run, and what it showed; nothing if it takes too many steps and is not in circles.

    `rng` decides which stores are delayed; None: none is.
    """
    verdict = Verdict()
    record = Record(Delays(strategy, rng) if rng is not None else strategy)
    steps = STEPS * NATIVE_STEPS if isinstance(factory, NativeFactory) else STEPS
    sched = OnePhase(record, steps, phase)
    sched.delays = rng is not None
    try:
        side_run(program, factory, number, verdict, sched, machine_for(factory, sched)).run()
    except Abandoned as abandoned:
        if abandoned.circles:
            report_circles(verdict, factory)
    found.schedules += 1
    found.steps += sched.steps
    found.features |= verdict.features
    for divergence in verdict.divergences[:1]:
        found.show(divergence, schedule_of(record))
