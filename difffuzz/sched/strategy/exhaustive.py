# SPDX-License-Identifier: GPL-2.0-only
"""Bounded exhaustive search: every schedule with at most K preemptions, up to equivalence.

A schedule is run by running it again from the start: first the choices that it is made of, then
run-to-block.  What run-to-block did is then looked at for choices that could have been otherwise:
any other task where the one that ran could not go on (this costs nothing), and any other task in
place of one that could (a preemption).

The reduction leaves out what can show nothing new, on two grounds:

- A preemption just before a transition that touches nothing contended can be put off until after
  it, at no cost.  Contended is what another task may still touch in the phase, in the operation it
  is at or a later one, if one of the two changes it and no lock keeps them apart (the lock itself
  is contended then, where it is taken).  Who touches what is found out by running; when a run shows
  more that is contended, the search is done again.
- A decision that was met before in an equivalent state (fingerprints of tracing.py), with the same
  task running and as many preemptions left, has the same future (happens-before caching: Musuvathi
  and Qadeer, MSR-TR-2007-12): the run ends there.

Up to its own departure a run is one that was run before: it is run again without notes, which begin
with a copy of what was noted then.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from random import Random
from typing import NamedTuple

from difffuzz.sched.core import Task
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.tracing import NO_LOCKS, Decision, Locks, Snapshot, Tracing

from .base import NO_STEP, Strategy, run_to_block
from .random_walk import RandomWalk

WARM_UP = 12
"""Random runs before the search, to learn what tasks share."""

Switches = tuple[tuple[int, int], ...]
Use = tuple[int, bool, Locks]
"""A task, whether it changes the thing, and the locks it holds."""
Uses = dict[Hashable, dict[Use, int]]
"""What is used how, up to which operation of the task."""
NOBODY: dict[Use, int] = {}
Merge = Callable[[Decision], bool]
Run = Callable[[Strategy, "Merge | None", "Snapshot | None"], Tracing]
"""Runs the program once under a strategy, with every step from the snapshot on asked and noted; the
second argument is what the run asks whether it may end."""


class Departure(NamedTuple):
    """A run to do: the schedule, its preemptions, where it leaves the run that it comes from."""

    switches: Switches
    cost: int
    since: Snapshot | None


class Guided:
    """Follows a schedule, then runs to block; `inner` decides instead of it if given.

    Choices are noted from the step `since` on.
    """

    __slots__ = ("_inner", "_since", "_switches", "next_step")

    def __init__(self, switches: Switches, inner: Strategy | None = None, since: int = 0) -> None:
        self._switches = dict(switches)
        self._inner = inner
        self._since = since
        self.next_step = 0
        if since:
            self._await(0)

    def preempt(self, sched: Interleaver, enabled: list[Task]) -> Task:
        """The task of the schedule, else the current one."""
        if sched.steps < self._since:
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
        assert isinstance(sched, Tracing)
        sched.note(enabled, chosen, False)
        return chosen

    def pick(self, sched: Interleaver, enabled: list[Task]) -> Task:
        """The task of the schedule, else the next one by number."""
        if sched.steps < self._since:
            chosen = self._named(sched, enabled) or run_to_block(sched, enabled)
            self._await(sched.steps)
            return chosen
        self.next_step = 0
        if self._inner is not None:
            chosen = self._inner.pick(sched, enabled)
        else:
            chosen = self._named(sched, enabled) or run_to_block(sched, enabled)
        assert isinstance(sched, Tracing)
        sched.note(enabled, chosen, True)
        return chosen

    def _await(self, step: int) -> None:
        """Asks to be asked at the next step of the schedule behind this one."""
        self.next_step = min((one for one in self._switches if one > step), default=NO_STEP)

    def _named(self, sched: Interleaver, enabled: list[Task]) -> Task | None:
        number = self._switches.get(sched.steps)
        if number is not None:
            for task in enabled:
                if task.number == number:
                    return task
        return None


class BoundedSearch:
    """The search on one side; `schedules` counts runs, `complete` says that none is left out."""

    __slots__ = (
        "_bound",
        "_contending",
        "_learned",
        "_reduce",
        "_run",
        "_states",
        "_uses",
        "_ways",
        "complete",
        "schedules",
    )

    def __init__(self, run: Run, preemptions: int, *, reduce: bool = True) -> None:
        self._run = run
        self._bound = preemptions
        self._reduce = reduce
        self._uses: dict[int, Uses] = {}
        self._contending: dict[tuple[Use, Use], bool] = {}
        self._learned = False
        self._states: dict[tuple[int, int, tuple[int, ...]], int] = {}
        self._ways: dict[tuple[int, int], int] = {}
        self.schedules = 0
        self.complete = False

    def search(self, stop: Callable[[], bool]) -> None:
        """Runs until no schedule is left, or `stop()` says so between two runs."""
        if self._reduce:
            for seed in range(WARM_UP):
                walk = RandomWalk(Random(seed), 1.0 + 4.0 * seed)
                self._learn(self._once(Guided((), walk), None, None))
                if stop():
                    return
        while True:
            self._learned = False
            self._states.clear()
            self._ways.clear()
            todo = [Departure((), 0, None)]
            while todo:
                if stop():
                    return
                one = todo.pop()
                decisions = self._depart(one)
                self._learn(decisions)
                todo += self._others(decisions, one.switches, one.cost)
            if not self._reduce or not self._learned:
                self.complete = True
                return

    def _depart(self, one: Departure) -> list[Decision]:
        merged = self._merge(one.switches, one.cost)
        if one.since is not None:
            guided = Guided(one.switches, since=one.since.decision.step)
            decisions = self._once(guided, merged, one.since)
            if decisions:
                return decisions
        return self._once(Guided(one.switches), merged, None)

    def _once(
        self, strategy: Strategy, merged: Merge | None, since: Snapshot | None
    ) -> list[Decision]:
        self.schedules += 1
        return self._run(strategy, merged, since).decisions

    def _merge(self, switches: Switches, cost: int) -> Merge | None:
        """Tells a run with these departures that it has come to where another one was."""
        if not self._reduce:
            return None
        states = self._states
        last = switches[-1][0] if switches else -1
        left = self._bound - cost

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

    def _learn(self, decisions: list[Decision]) -> None:
        """Notes who uses what how."""
        for decision in decisions:
            number = decision.chosen
            at = decision.live[number]
            table = self._uses.setdefault(decision.phase, {})
            for what, write, locks in decision.accesses:
                if locks is None:
                    continue
                use = number, write, locks
                uses = table.setdefault(what, {})
                if uses.get(use, -1) < at:
                    uses[use] = at
                    self._learned = self._learned or any(self._contend(use, one) for one in uses)

    def _others(self, decisions: list[Decision], switches: Switches, cost: int) -> list[Departure]:
        """The schedules that depart from this run behind its own last departure."""
        last = switches[-1][0] if switches else -1
        found: list[Departure] = []
        for decision in decisions:
            if decision.step <= last:
                continue
            if decision.forced:
                price = cost
            elif cost == self._bound or not self._matters(decision):
                continue
            else:
                price = cost + 1
            for number in decision.enabled:
                if number != decision.chosen and self._is_new(decision, number, price):
                    further = (*switches, (decision.step, number))
                    found.append(Departure(further, price, decision.before))
        return found

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
        if not self._reduce:
            return True
        live, number = decision.live, decision.chosen
        table = self._uses[decision.phase]
        for what, write, locks in decision.accesses:
            mine = number, write, NO_LOCKS if locks is None else locks
            for use, last in table.get(what, NOBODY).items():
                if live.get(use[0], last + 1) <= last and self._contend(mine, use):
                    return True
        return False

    def _contend(self, one: Use, other: Use) -> bool:
        key = one, other
        known = self._contending.get(key)
        if known is None:
            known = self._contending[key] = contend(one, other)
        return known


def contend(one: Use, other: Use) -> bool:
    """Can two accesses to the same thing come in either order, and does it matter?"""
    if one[0] == other[0] or not (one[1] or other[1]):
        return False
    exclusive = dict(other[2])
    return not any(name in exclusive and (mode or exclusive[name]) for name, mode in one[2])
