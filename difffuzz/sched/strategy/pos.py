# SPDX-License-Identifier: GPL-2.0-only
"""Partial order sampling (Yuan, Yang and Gu, CAV 2018): priorities of accesses, not of tasks.

Each access that a task is about to make has a random priority, and the highest goes first.  When it
is made, those that wait and would race with it get new ones: orders of accesses that do not race
take no part of the chance away from those that do.
"""

from __future__ import annotations

from random import Random

from difffuzz.sched.choice import Moment
from difffuzz.sched.task import Task


class Pos:
    """Decides at each step."""

    __slots__ = ("_priority", "_rng", "next_step")

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._priority: dict[int, float] = {}
        self.next_step = 0

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """The task with the highest access, after the current one came to a new one."""
        self.forget(sched.current)
        return self.choose(enabled, enabled)

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """The task with the highest access."""
        return self.choose(enabled, enabled)

    def forget(self, task: Task) -> None:
        """The task came to another access."""
        self._priority.pop(task.number, None)

    def choose(self, among: list[Task], enabled: list[Task]) -> Task:
        """The task with the highest access among some; those of all enabled ones that race with it
        lose their priorities."""
        priority, rng = self._priority, self._rng
        best, highest = among[0], -1.0
        for task in among:
            here = priority.get(task.number)
            if here is None:
                here = priority[task.number] = rng.random()
            if here > highest:
                best, highest = task, here
        del priority[best.number]
        wants = best.wants
        if wants is not None:
            for task in enabled:
                if task.wants == wants and (task.changes or best.changes):
                    priority.pop(task.number, None)
        return best
