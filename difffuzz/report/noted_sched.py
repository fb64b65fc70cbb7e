# SPDX-License-Identifier: GPL-2.0-only
"""Schedulers that let somebody look at every preemption point, and tell of locks and switches.

A strategy is asked at the same points, and each point counts, as without.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from difffuzz.sched import Scheduler, Task
from difffuzz.sched.choice import Strategy
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.task import HeldLock

EVERY = 1 << 60
"""A threshold that every budget is below: each point asks."""


class Looker(Protocol):
    """Who looks.  What is told happened to the scheduler's current task."""

    def look(self) -> None:
        """A preemption point: the task may have changed anything since the last one."""

    def takes(self, lock: str, exclusive: bool) -> None:
        """It has taken a lock."""

    def releases(self, lock: str, exclusive: bool) -> None:
        """It has released a lock."""

    def waits(self, task: Task, what: str) -> None:
        """It cannot go on before it gets `what`."""

    def goes_on(self, task: Task, instead: Task, what: Hashable) -> None:
        """The current task, `instead`, stands before `what`; `task` goes on in its place."""


class NotedScheduler(Scheduler):
    """That of a lockstep run."""

    __slots__ = ("looker",)

    def __init__(self, looker: Looker) -> None:
        super().__init__()
        self.looker = looker
        self.threshold = EVERY

    def decide(self, what: Hashable, write: bool) -> None:
        """At every point."""
        self.looker.look()
        if self.budget < 0:
            super().decide(what, write)

    def acquired(self, lock: HeldLock) -> None:
        """Told."""
        self.looker.takes(lock.name, lock.writer is self.current)

    def released(self, lock: HeldLock, exclusive: bool) -> None:
        """Told."""
        self.looker.releases(lock.name, exclusive)


class NotedInterleaver(Interleaver):
    """That of a concurrent run."""

    __slots__ = ("_asked_below", "looker")

    def __init__(self, looker: Looker, strategy: Strategy, step_limit: int) -> None:
        super().__init__(strategy, step_limit)
        self.looker = looker
        self._asked_below = 0

    def run(self, bodies: Sequence[tuple[Task, Callable[[], None]]]) -> None:
        """A phase."""
        self._asked_below = 0
        super().run(bodies)
        self.looker.look()

    def decide(self, what: Hashable, write: bool) -> None:
        """At every point; the strategy only where it wants to be asked."""
        self.looker.look()
        if self.budget < self._asked_below:
            super().decide(what, write)

    def acquired(self, lock: HeldLock) -> None:
        """Told."""
        super().acquired(lock)
        self.looker.takes(lock.name, lock.writer is not None)

    def released(self, lock: HeldLock, exclusive: bool) -> None:
        """Told."""
        super().released(lock, exclusive)
        self.looker.releases(lock.name, exclusive)

    def _arm(self) -> None:
        super()._arm()
        self._asked_below = self.threshold
        self.threshold = EVERY

    def _switch(self, task: Task, what: Hashable) -> None:
        self.looker.look()
        before = self.current
        if before.blocked_on is not None:
            self.looker.waits(before, before.blocked_on)
        self.looker.goes_on(task, before, what)
        super()._switch(task, what)
