# SPDX-License-Identifier: GPL-2.0-only
"""A sweep: every schedule of a program that departs once from run to block, on both sides.

It is done once for each program, whatever is left to chance besides: many races need no more than
one preemption in the right place.  A model is searched with its reduction; what that leaves is two
departures and more, of which some follow by value: accesses to one place that met in one order only
are to meet in the other (sched/series/reads_from.py).  The kernel's own code is played, which takes
so little time that all with two departures follow where they are not too many.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..engine.explore import Exploration, Shown, explore
from ..engine.sampling import sample
from ..engine.there_and_back import there_and_back
from ..program import Program
from ..sides import NativeFactory, SideFactory

PLAYED_STEPS = 8_000_000
"""Steps of all schedules with two departures of one side, about, that are not too many: a second,
or a few where a guest's page tables are checked after each operation."""

BY_VALUE = 200
"""Runs of a model's side by value: half a second to one.  Four bugs of the catalogue that one
departure does not show take 31 to 260."""


class Swept:
    """What came of it so far; `complete`: no schedule is left."""

    __slots__ = ("complete", "features", "schedules", "shown", "steps")

    def __init__(self) -> None:
        self.schedules = 0
        self.steps = 0
        self.features: set[int] = set()
        self.shown: list[Shown] = []
        self.complete = False

    def add(self, found: Exploration) -> None:
        """What the search of one more side found."""
        self.schedules += found.schedules
        self.steps += found.steps
        self.features |= found.features
        self.shown += found.shown


def sweep(
    program: Program, left: SideFactory, right: SideFactory, stop: Callable[[], bool], swept: Swept
) -> None:
    """Sweeps both sides, which have threads, and adds to `swept`.

    `stop` is asked between two runs: True ends it all.
    """
    program = program._replace(schedule=())
    ended = False
    latest = Exploration()

    def over(found: Exploration) -> bool:
        nonlocal ended, latest
        latest = found
        ended = ended or stop()
        return ended

    def by_value(number: int) -> Exploration:
        return sample(
            program,
            left,
            right,
            "reads-from",
            schedules=BY_VALUE,
            first_only=True,
            sides=(number,),
            stop=over,
        )

    for number, side in enumerate((left, right)):
        latest = Exploration()
        try:
            if isinstance(side, NativeFactory):
                play = partial(there_and_back, program, left, right, sides=(number,), stop=over)
                latest = play(back=False)
                few = latest.schedules * latest.steps <= 2 * PLAYED_STEPS
                if few and not latest.shown and not ended:
                    swept.add(latest)
                    latest = Exploration()
                    latest = play()
            else:
                latest = explore(program, left, right, 1, sides=(number,), stop=over)
                if not latest.shown and not ended:
                    swept.add(latest)
                    latest = Exploration()
                    latest = by_value(number)
        finally:
            swept.add(latest)
        if ended:
            return
    swept.complete = True
