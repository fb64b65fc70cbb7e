# SPDX-License-Identifier: GPL-2.0-only
"""Explores a program's schedules on two sides: all that have at most K preemptions.

Each side is searched on its own; what its probes can come to must be the same on both.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from difffuzz.engine.concurrent import NO_PAGES, Abandoned, machine_for, schedule_of
from difffuzz.engine.guest_concurrent import side_run
from difffuzz.engine.touches import TRACED
from difffuzz.errors import UsageError
from difffuzz.oracle import Divergence, Verdict, Violation
from difffuzz.program import Program
from difffuzz.sched.strategy import Strategy
from difffuzz.sched.strategy.exhaustive import BoundedSearch, Merge
from difffuzz.sched.strategy.record import Record
from difffuzz.sched.tracing import Merged, Tracing
from difffuzz.sched.transitions import Decision
from difffuzz.sides import KvmFactory, NativeFactory, SideFactory

GC_OBJECTS = 100_000
"""Objects made between two garbage collections: a run makes and drops thousands."""
STEPS = 60_000
"""Steps of one run; one that takes more is a divergence (progress) if it goes in circles, else it
is given up."""


class Shown(NamedTuple):
    """A divergence and the shortest schedule met that shows it: (step, thread) pairs."""

    divergence: Divergence
    schedule: tuple[tuple[int, int], ...]


class Exploration:
    """What the search on both sides found.

    `schedules`: runs of both sides, `steps` what they took, `features` what they reached;
    `complete`: no schedule with so few preemptions is left;
    `ends`: for each side, what the probes came to; `orders`: fingerprints of the runs that went to
    their ends, which are the same for runs that differ in the order of commuting transitions only.
    """

    __slots__ = ("complete", "ends", "features", "orders", "schedules", "shown", "steps")

    def __init__(self) -> None:
        self.schedules = 0
        self.steps = 0
        self.features: set[int] = set()
        self.complete = True
        self.shown: list[Shown] = []
        self.ends: list[set[tuple[str, ...]]] = []
        self.orders: list[set[int]] = []

    def show(self, divergence: Divergence, schedule: tuple[tuple[int, int], ...]) -> None:
        """Keeps a divergence; of one that is known, the shorter schedule."""
        shown = Shown(divergence, schedule)
        for at, known in enumerate(self.shown):
            if known.divergence.signature == divergence.signature:
                if len(schedule) < len(known.schedule):
                    self.shown[at] = shown
                return
        self.shown.append(shown)


Stop = Callable[[Exploration], bool]


def explore(
    program: Program,
    left: SideFactory,
    right: SideFactory,
    preemptions: int,
    *,
    seconds: float = 0.0,
    limit: int = 0,
    reduce: bool = True,
    first_only: bool = False,
    order: int | None = None,
    phase: int = 0,
    sides: Sequence[int] = (0, 1),
    stop: Stop = lambda found: False,
    delays: bool = False,
) -> Exploration:
    """Searches both sides, or one of them, `seconds` long at most and about `limit` steps each (0:
    no limit); UsageError for a side without threads.

    `stop` is asked between two runs, with what was found so far: True ends the search.
    `first_only`: the search of a side ends with its first divergence.  `order`: seed of a random
    order of the runs, for a search that ends before it is complete.  `phase`, counted from 1: where
    schedules differ; 0 for everywhere.  `delays`: stores may be delayed, as on x86,
    which counts as a preemption, and so does making one visible; not with the reduction.
    """
    found = Exploration()
    thresholds = gc.get_threshold()
    gc.set_threshold(GC_OBJECTS, *thresholds[1:])
    deadline = time.monotonic() + seconds if seconds else None
    try:
        for number in sides:
            explore_side(
                program,
                (left, right)[number],
                number,
                preemptions,
                found,
                deadline=deadline,
                limit=limit,
                reduce=reduce,
                first_only=first_only,
                order=order,
                phase=phase,
                stop=stop,
                delays=delays,
            )
    finally:
        gc.set_threshold(*thresholds)
    complete = found.complete and not found.shown and not phase and len(found.ends) == 2
    only = different_ends(*found.ends) if complete else None
    if only:
        text = f"the probes can end as {' '.join(sorted(only)[0])} on one side only"
        verdict = Verdict()
        both = f"{left.name}/{right.name}"
        verdict.report(Violation("translation", both, "ends", text), "probe", None)
        found.shown.append(Shown(verdict.divergences[0], ()))
    return found


def different_ends(left: set[tuple[str, ...]], right: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """What the probes came to on one side only, without those for which there were no pages."""
    failed = {at for end in left | right for at, one in enumerate(end) if one == NO_PAGES}

    def rest(end: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for at, one in enumerate(end) if at not in failed)

    return {rest(end) for end in left} ^ {rest(end) for end in right}


def report_circles(verdict: Verdict, factory: SideFactory) -> None:
    """A run was abandoned that goes in circles."""
    text = f"the run goes in circles for more than {STEPS} steps"
    verdict.report(Violation("progress", factory.name, "steps", text), "program", None)


def explore_side(
    program: Program,
    factory: SideFactory,
    number: int,
    preemptions: int,
    found: Exploration,
    *,
    deadline: float | None = None,
    limit: int = 0,
    reduce: bool = True,
    first_only: bool = False,
    order: int | None = None,
    phase: int = 0,
    stop: Stop = lambda found: False,
    delays: bool = False,
) -> None:
    """Searches side `number` and adds to `found`; until the deadline, by time.monotonic(), and for
    about `limit` steps if they are given, or until `stop`."""
    if not isinstance(factory, KvmFactory):
        raise UsageError(f"side {factory.name!r} has no threads to explore")
    model = not isinstance(factory, NativeFactory)
    if reduce and delays:
        raise UsageError("store buffers are explored with --no-reduction only")
    if reduce and not model:
        text = "is explored with --no-reduction only: what a step of it touches is not seen"
        raise UsageError(f"side {factory.name!r} {text}")
    ends: set[tuple[str, ...]] = set()
    orders: set[int] = set()
    before = len(found.shown)
    steps = found.steps
    schedules = found.schedules

    def run(
        strategy: Strategy, merged: Merge | None, worth: Merge | None, since: Decision | None
    ) -> list[Decision]:
        verdict = Verdict()
        record = Record(strategy)
        sched = Tracing(record, STEPS)
        sched.delays = delays
        machine = TRACED if model and not delays else machine_for(factory, sched)
        one = side_run(program, factory, number, verdict, sched, machine)
        sched.start_tracing(merged, worth, since, phase)
        try:
            result = one.run()
        except Merged:
            found.features |= verdict.features
            found.steps += sched.steps
            return sched.decisions
        except Abandoned as abandoned:
            if not abandoned.circles:
                found.complete = False
                found.steps += sched.steps
                return sched.decisions
            report_circles(verdict, factory)
            result = []
        found.features |= verdict.features
        found.steps += sched.steps
        if not verdict.divergences:
            ends.add(tuple(result))
            orders.add(sched.fingerprint())
        for divergence in verdict.divergences[:1]:
            found.show(divergence, schedule_of(record))
        return sched.decisions

    def over() -> bool:
        found.schedules = schedules + search.schedules
        if stop(found):
            return True
        if first_only and len(found.shown) > before:
            return True
        if limit and found.steps - steps >= limit:
            return True
        return deadline is not None and time.monotonic() > deadline

    rng = Random(order) if order is not None else None
    search = BoundedSearch(run, preemptions, reduce=reduce, order=rng, phase=phase)
    search.search(over)
    found.schedules = schedules + search.schedules
    found.complete &= search.complete
    found.ends.append(ends)
    found.orders.append(orders)
