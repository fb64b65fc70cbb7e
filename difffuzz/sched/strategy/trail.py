# SPDX-License-Identifier: GPL-2.0-only
"""What a run touches, site by site, and after whose change each access came."""

from __future__ import annotations

from collections.abc import Hashable

from difffuzz.sched.choice import NO_STEP, Moment, Strategy, run_to_block
from difffuzz.sched.sites import NOWHERE, Sites
from difffuzz.sched.task import Task
from difffuzz.sched.transitions import NO_LOCKS, Locks

from .contention import Use

Step = tuple[int, int, int, int]
"""An access: by whom, where, and the site of the change that it came after (NOWHERE: of nobody in
this run), and whose that was."""


class Trail:
    """Takes notes; a strategy that does is to be asked at each step of a phase that is watched.

    All other phases run to block.
    """

    __slots__ = ("_at", "_last", "length", "next_step", "sites", "steps", "uses")

    def __init__(self, sites: Sites) -> None:
        self.sites = sites
        self.steps: list[Step] = []
        self.uses: dict[Hashable, dict[Use, None]] = {}
        """Who uses what how."""
        self.length = 0
        """Steps of the scheduler."""
        self._at: dict[int, int] = {}
        self._last: dict[Hashable, tuple[int, int]] = {}
        self.next_step = 0

    def site_of(self, task: Task) -> int:
        """The site before which the task stands."""
        return NOWHERE if task.wants is None else self._at[task.number]

    def last_change(self, what: Hashable) -> int:
        """The site that changed it last."""
        return self._last.get(what, (NOWHERE, -1))[0]

    def last_changes(self) -> dict[Hashable, int]:
        """The sites that changed each thing last."""
        return {what: site for what, (site, _) in self._last.items() if site != NOWHERE}

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """Who goes on now that the current task blocks, ends or relaxes."""
        if not sched.watched:
            self.next_step = NO_STEP
            return run_to_block(sched, enabled)
        self.next_step = 0
        self._stopped(sched.current)
        chosen = self._choose(sched, enabled)
        self._goes_on(chosen)
        return chosen

    def _choose(self, sched: Moment, enabled: list[Task]) -> Task:
        """Who goes on, of a strategy that takes notes."""
        raise NotImplementedError

    def _arrived(self, task: Task) -> None:
        """The task, which runs, came to another access."""
        self.length += 1
        self._at[task.number] = self.sites.here(task)

    def _stopped(self, task: Task) -> None:
        """The task cannot go on: if it waits, it has not made the access that it was about to."""
        if task.ready is None or task.wants is None:
            return
        steps = self.steps
        if steps:
            number, site, change, changed_by = steps[-1]
            what = self.sites.whats[site]
            if number == task.number and what == task.wants:
                steps.pop()
                self._last[what] = change, changed_by
                return
        if self.sites.whats[self._at.get(task.number, NOWHERE)] != task.wants:
            self._arrived(task)

    def _goes_on(self, task: Task) -> None:
        """The task makes its access."""
        site = self.site_of(task)
        if site == NOWHERE:
            return
        what = self.sites.whats[site]
        change, changed_by = self._last.get(what, (NOWHERE, -1))
        self.steps.append((task.number, site, change, changed_by))
        writes = self.sites.writes[site]
        if writes:
            self._last[what] = site, task.number
        uses = self.uses.get(what)
        if uses is None:
            uses = self.uses[what] = {}
        uses[task.number, writes, locks_of(task)] = None


def locks_of(task: Task) -> Locks:
    """The locks that a task holds, and how."""
    if not task.held:
        return NO_LOCKS
    return frozenset([(lock.name, lock.writer is not None) for lock in task.held])


class Noted(Trail):
    """Wrapper: notes a run under any strategy, which is asked when it wants to be."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Strategy, sites: Sites) -> None:
        super().__init__(sites)
        self._inner = inner

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """What the strategy says."""
        chosen = sched.current
        self._arrived(chosen)
        if sched.steps >= self._inner.next_step:
            chosen = self._inner.preempt(sched, enabled)
        self._goes_on(chosen)
        return chosen

    def _choose(self, sched: Moment, enabled: list[Task]) -> Task:
        return self._inner.pick(sched, enabled)
