# SPDX-License-Identifier: GPL-2.0-only
"""Schedules for programs that have changed: the old one moved along, or a new one searched.

A schedule counts steps from the start of the program, so that hardly any change of an operation
leaves it a meaning.
"""

from __future__ import annotations

from ..engine.explore import Exploration
from ..program import THREADS, Program, is_concurrent, normalise
from ..running.runner import Runner
from ..sched.strategy import Anchor, Anchored, Locate, ScheduleStrategy
from .size import preemptions

SEARCH_STEPS = 8_000
"""Steps of a search for the schedule of a program: about a tenth of a second of the model."""
SEARCHED = 3
"""Preemptions of a search, at most: one with more does not come far."""


class Schedules:
    """Finds schedules under which programs show one signature."""

    def __init__(self, run: Runner, signature: str) -> None:
        self._run = run
        self._signature = signature
        self._located: tuple[Program, list[Anchor], int] | None = None
        self._searched: dict[tuple[Program, int], Program | None] = {}

    def moved(self, best: Program, proposal: Program) -> Program | None:
        """The proposal under the schedule of `best`, whose preemptions stay at their operations."""
        if not (is_concurrent(best) and is_concurrent(proposal)):
            return None
        anchors, _ = self._locate(best)
        moved = _moved(best, proposal, anchors)
        verdict = self._run.under(proposal, lambda program: Anchored(moved))
        found = verdict.divergences
        if not found or found[0].signature != self._signature or verdict.schedule is None:
            return None
        return normalise(proposal._replace(schedule=verdict.schedule))

    def searched(self, best: Program, proposal: Program) -> Program | None:
        """The proposal under a schedule with no more preemptions than `best` has, if a short search
        finds one; of `best` itself one with the fewest."""
        if not (is_concurrent(best) and is_concurrent(proposal)):
            return None
        _, side = self._locate(best)
        bare = proposal._replace(schedule=())
        most = min(preemptions(best), SEARCHED)
        for bound in range(most + 1) if best == proposal else (most,):
            key = bare, bound
            if key not in self._searched:
                self._searched[key] = self._search(bare, bound, side)
            found = self._searched[key]
            if found is not None:
                return found
        return None

    def _search(self, bare: Program, most: int, side: int) -> Program | None:
        def short(found: Exploration) -> list[Program]:
            return [
                normalise(bare._replace(schedule=one.schedule))
                for one in found.shown
                if one.divergence.signature == self._signature
                and preemptions(bare._replace(schedule=one.schedule)) <= most
            ]

        found = self._run.explore(bare, most, side, SEARCH_STEPS, lambda found: bool(short(found)))
        return next(iter(short(found)), None)

    def _locate(self, best: Program) -> tuple[list[Anchor], int]:
        """Where the schedule of `best` departs from run-to-block, and on which side that counts."""
        if self._located is None or self._located[0] != best:
            made: list[Locate] = []

            def strategy(program: Program) -> Locate:
                made.append(Locate(ScheduleStrategy(program.schedule)))
                return made[-1]

            self._run.under(best, strategy)
            self._located = best, made[-1].anchors, len(made) - 1
        return self._located[1:]


def _moved(best: Program, proposal: Program, anchors: list[Anchor]) -> list[Anchor]:
    """The anchors in terms of the proposal's operations and threads."""
    places = corresponding(best, proposal)
    threads = {
        best.ops[old].thread: proposal.ops[new].thread for old, new in reversed(places.items())
    }
    moved = []
    for thread, op, points, to in anchors:
        buffer = len(THREADS) * (to >= len(THREADS))
        to -= buffer
        if to not in threads or (thread >= 0 and thread not in threads):
            continue
        here = op
        while 0 <= here < len(best.ops) and (here not in places or best.ops[here].thread != thread):
            here += 1
        if here >= len(best.ops):
            continue
        points = points if here == op else 1
        moved.append(
            Anchor(threads.get(thread, thread), places.get(here, -1), points, threads[to] + buffer)
        )
    return moved


def corresponding(best: Program, proposal: Program) -> dict[int, int]:
    """Which operation of the proposal is which of `best`, by index: the same place where there are
    as many, else those that are equal, in their order."""
    if len(best.ops) < len(proposal.ops):
        return {old: new for new, old in corresponding(proposal, best).items()}
    if len(best.ops) == len(proposal.ops):
        return _same_places(best, proposal)
    places: dict[int, int] = {}
    new = 0
    gone = len(best.ops) - len(proposal.ops)
    for old, op in enumerate(best.ops):
        if new >= len(proposal.ops):
            break
        if proposal.ops[new] == op or old - new >= gone:
            places[old] = new
            new += 1
    return places


def _same_places(best: Program, proposal: Program) -> dict[int, int]:
    """Also where two neighbours changed places."""
    places = {}
    free = dict.fromkeys(range(len(proposal.ops)))
    for old, op in enumerate(best.ops):
        if proposal.ops[old] == op:
            places[old] = old
            del free[old]
    for old, op in enumerate(best.ops):
        if old not in places:
            equal = [new for new in free if proposal.ops[new] == op]
            places[old] = equal[0] if equal else (old if old in free else next(iter(free)))
            del free[places[old]]
    return places
