# SPDX-License-Identifier: GPL-2.0-only
"""Bounded exhaustive search: every schedule with at most K preemptions, up to equivalence.

A schedule is run by running it again from the start: first the choices that it is made of, then
run-to-block.  What run-to-block did is then looked at for choices that could have been otherwise:
any other task where the one that ran could not go on (this costs nothing), and any other task in
place of one that could (a preemption).

The reduction leaves out what can show nothing new, on two grounds:

- A preemption just before a transition that touches nothing contended (contention.py) can be put
  off until after it, at no cost.  What is contended is found out by running; when a run shows more
  that is, the decisions that were passed over because of it get their turn.
- A decision that was met before in an equivalent state (fingerprints of tracing.py), with the same
  task running and as many preemptions left, has the same future (happens-before caching: Musuvathi
  and Qadeer, MSR-TR-2007-12): the run ends there.

The order of the runs is depth first.  Given a source of random numbers it is one for a search that
ends before it is complete: mostly one of the runs with the fewest preemptions is next, since most
bugs need few (iterative context bounding: Musuvathi and Qadeer, PLDI 2007), else any, for the
search should have seen a bit of all.  Those come first, often, that tear one SPTE: each of their
preemptions is between what a task saw of that SPTE and what it makes of it (atomicity violations:
Lu et al., ASPLOS 2006).

A run repeats an earlier run up to the step where it departs from it.  Nothing is noted in that
part; the notes of the earlier run are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from random import Random
from typing import NamedTuple

from difffuzz.sched.choice import NO_STEP, Moment, Strategy, run_to_block
from difffuzz.sched.task import Task
from difffuzz.sched.transitions import Decision

from .contention import Contention, Place
from .random_walk import RandomWalk

WARM_UP = 12
"""Random runs before the search, to learn what tasks share."""
FEWEST = 0.7
"""How often a search in random order takes a run of those with the fewest preemptions."""
NEWEST = 0.25
"""How often it takes the newest of these, which goes on where the last one departed."""
TORN = 0.5
"""How often it takes one that tears an SPTE, as long as there are such."""

Switches = tuple[tuple[int, int], ...]
Merge = Callable[[Decision], bool]
Run = Callable[[Strategy, "Merge | None", "Merge | None", "Decision | None"], list[Decision]]
"""Runs the program once under a strategy, with every step from the decision on asked and noted; the
second argument is what the run asks whether it may end, the third whether others may depart.
Returns the decisions that were noted."""


class Path(NamedTuple):
    """What a run is made of: a schedule, its preemptions, the SPTEs that all of these tear."""

    switches: Switches = ()
    cost: int = 0
    torn: frozenset[Hashable] = frozenset()

    @property
    def last(self) -> int:
        """The step of its last departure."""
        return self.switches[-1][0] if self.switches else -1


class Departure(NamedTuple):
    """A run to do, and where it leaves the run that it comes from."""

    path: Path
    since: Decision | None


class Guided:
    """Follows a schedule, then runs to block; `inner` decides instead of it if given.

    Choices are noted from the step `since` on, in phases that are watched; all others run to block.
    """

    __slots__ = ("_inner", "_since", "_switches", "next_step")

    def __init__(self, switches: Switches, inner: Strategy | None = None, since: int = 0) -> None:
        self._switches = dict(switches)
        self._inner = inner
        self._since = since
        self.next_step = 0
        if since:
            self._await(0)

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """The task of the schedule, else the current one."""
        if sched.steps < self._since or not sched.watched:
            chosen = self._named(sched, enabled) or sched.current
            self._await(sched.steps)
            return chosen
        self.next_step = 0
        inner = self._inner
        if inner is not None:
            chosen = sched.current
            if sched.steps >= inner.next_step:
                chosen = inner.preempt(sched, enabled)
        else:
            chosen = self._named(sched, enabled) or sched.current
        sched.note(enabled, chosen, False)
        return chosen

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """The task of the schedule, else the next one by number."""
        if sched.steps < self._since or not sched.watched:
            chosen = self._named(sched, enabled) or run_to_block(sched, enabled)
            self._await(sched.steps)
            return chosen
        self.next_step = 0
        if self._inner is not None:
            chosen = self._inner.pick(sched, enabled)
        else:
            chosen = self._named(sched, enabled) or run_to_block(sched, enabled)
        sched.note(enabled, chosen, True)
        return chosen

    def _await(self, step: int) -> None:
        """Asks to be asked at the next step of the schedule behind this one."""
        self.next_step = min((one for one in self._switches if one > step), default=NO_STEP)

    def _named(self, sched: Moment, enabled: list[Task]) -> Task | None:
        number = self._switches.get(sched.steps)
        if number is not None:
            for task in enabled:
                if task.number == number:
                    return task
        return None


class Todo:
    """The runs that are left; without a source of random numbers the newest is always next."""

    __slots__ = ("_by_cost", "_rng", "_tearing")

    def __init__(self, rng: Random | None) -> None:
        self._rng = rng
        self._by_cost: list[list[Departure]] = []
        self._tearing: list[Departure] = []

    def add(self, departures: list[Departure]) -> None:
        """More runs."""
        for one in departures:
            if self._rng is not None and one.path.torn:
                self._tearing.append(one)
                continue
            at = one.path.cost if self._rng is not None else 0
            while at >= len(self._by_cost):
                self._by_cost.append([])
            self._by_cost[at].append(one)

    def take(self) -> Departure | None:
        """The next one, which is not left any more; None at the end."""
        rng, tearing = self._rng, self._tearing
        left = [runs for runs in self._by_cost if runs]
        if rng is None:
            return left[0].pop() if left else None
        if tearing and (not left or rng.random() < TORN):
            return _any(tearing, rng)
        if not left:
            return None
        newest = rng.random() < NEWEST
        if rng.random() < FEWEST:
            return left[0].pop() if newest else _any(left[0], rng)
        (runs,) = rng.choices(left, [len(one) for one in left])
        return _any(runs, rng)


def _any(runs: list[Departure], rng: Random) -> Departure:
    at = int(rng.random() * len(runs))
    runs[at], runs[-1] = runs[-1], runs[at]
    return runs.pop()


class PassedOver(NamedTuple):
    """A decision of a run at which no run departed."""

    decision: Decision
    path: Path


class BoundedSearch:
    """The search on one side; `schedules` counts runs, `complete` says that none is left out.

    With a `phase`, counted from 1, all others run to block.
    """

    __slots__ = (
        "_bound",
        "_contention",
        "_order",
        "_passed",
        "_phase",
        "_reduce",
        "_run",
        "_states",
        "_ways",
        "complete",
        "schedules",
    )

    def __init__(
        self,
        run: Run,
        preemptions: int,
        *,
        reduce: bool = True,
        order: Random | None = None,
        phase: int = 0,
    ) -> None:
        self._run = run
        self._order = order
        self._phase = phase
        self._bound = preemptions
        self._reduce = reduce
        self._contention = Contention()
        self._passed: dict[Place, list[PassedOver]] = {}
        self._states: dict[tuple[int, int, tuple[int, ...]], int] = {}
        self._ways: dict[tuple[int, int], int] = {}
        self.schedules = 0
        self.complete = False

    def search(self, stop: Callable[[], bool]) -> None:
        """Runs until no schedule is left, or `stop()` says so between two runs."""
        if self._reduce:
            for seed in range(WARM_UP):
                walk = RandomWalk(Random(seed), 1.0 + 4.0 * seed)
                self._contention.learn(self._once(Guided((), walk), None, None, None))
                if stop():
                    return
        todo = Todo(self._order)
        todo.add([Departure(Path(), None)])
        while (one := todo.take()) is not None:
            if stop():
                return
            decisions = self._depart(one)
            if self._reduce:
                todo.add(self._late(self._contention.learn(decisions)))
            todo.add(self._others(decisions, one.path))
        self.complete = True

    def _depart(self, one: Departure) -> list[Decision]:
        merged, worth = self._merge(one.path), self._worth(one.path)
        switches = one.path.switches
        if one.since is not None:
            guided = Guided(switches, since=one.since.step)
            decisions = self._once(guided, merged, worth, one.since)
            if decisions:
                return decisions
        return self._once(Guided(switches), merged, worth, None)

    def _once(
        self,
        strategy: Strategy,
        merged: Merge | None,
        worth: Merge | None,
        since: Decision | None,
    ) -> list[Decision]:
        self.schedules += 1
        return self._run(strategy, merged, worth, since)

    def _merge(self, path: Path) -> Merge | None:
        """Tells a run of this path that it has come to where another one was."""
        if not self._reduce:
            return None
        states = self._states
        last = path.last
        left = self._bound - path.cost

        def merged(decision: Decision) -> bool:
            if decision.step <= last:
                return False
            running = -1 if decision.forced else decision.current
            key = decision.state, running, decision.enabled
            if states.get(key, -1) >= left:
                return True
            states[key] = left
            return False

        return merged

    def _worth(self, path: Path) -> Merge:
        """Tells a run of this path at which decisions others may depart from it."""
        last = path.last
        exhausted = path.cost == self._bound

        def worth(decision: Decision) -> bool:
            if self._has_no_choice(decision, last):
                return False
            return decision.forced or not (exhausted or not self._matters(decision))

        return worth

    def _others(self, decisions: list[Decision], path: Path) -> list[Departure]:
        """The schedules that depart from this run behind its own last departure."""
        found: list[Departure] = []
        for decision in decisions:
            if self._has_no_choice(decision, path.last):
                continue
            if decision.forced:
                found += self._ways_on(decision, path)
            elif path.cost < self._bound:
                if decision.before is not None or self._matters(decision):
                    found += self._ways_on(decision, self._preempted(decision, path))
                else:
                    self._pass_over(PassedOver(decision, path))
        return found

    def _preempted(self, decision: Decision, path: Path) -> Path:
        """The path of what departs from it at the decision, except for the departure itself."""
        torn = path.torn
        if self._order is not None and (torn or not path.cost):
            here = self._contention.torn(decision)
            torn = torn & here if path.cost else here
        return path._replace(cost=path.cost + 1, torn=torn)

    def _has_no_choice(self, decision: Decision, last: int) -> bool:
        """Is the decision not one at which a run that last departed at step `last` may depart?"""
        if decision.step <= last or len(decision.enabled) < 2:
            return True
        return self._phase not in (0, decision.phase)

    def _ways_on(self, decision: Decision, path: Path) -> list[Departure]:
        since = decision if decision.before is not None else None
        return [
            Departure(path._replace(switches=(*path.switches, (decision.step, number))), since)
            for number in decision.enabled
            if number != decision.chosen and self._is_new(decision, number, path.cost)
        ]

    def _is_new(self, decision: Decision, number: int, price: int) -> bool:
        """Did no run go on with this task in this state before, with as much left to spend?"""
        if not self._reduce:
            return True
        key = decision.state, number
        left = self._bound - price
        if self._ways.get(key, -1) >= left:
            return False
        self._ways[key] = left
        return True

    def _matters(self, decision: Decision) -> bool:
        return not self._reduce or self._contention.matters(decision)

    # What is learned late

    def _pass_over(self, one: PassedOver) -> None:
        """Nothing that the decision is about is contended, as far as is known."""
        phase = one.decision.phase
        for what in {what for what, _, _ in one.decision.accesses}:
            self._passed.setdefault((phase, what), []).append(one)

    def _late(self, places: set[Place]) -> list[Departure]:
        """The departures that nobody knew to matter before these were known to be contended."""
        found: list[Departure] = []
        for place in places:
            waiting = self._passed.get(place)
            if not waiting:
                continue
            kept = []
            for one in waiting:
                if self._matters(one.decision):
                    found += self._ways_on(one.decision, self._preempted(one.decision, one.path))
                else:
                    kept.append(one)
            self._passed[place] = kept
        return found
