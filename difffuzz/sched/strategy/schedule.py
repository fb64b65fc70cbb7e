# SPDX-License-Identifier: GPL-2.0-only
"""The schedule of a program: at these steps go on with these tasks, else run to block.

What atheris mutates.  A step at which the task named cannot run is passed over, so that every
schedule is good for every program.
"""

from __future__ import annotations

from collections.abc import Sequence

from difffuzz.sched.choice import NO_STEP, Moment, run_to_block
from difffuzz.sched.task import Task


class ScheduleStrategy:
    """Follows (step, number of the task) pairs; steps ascend."""

    __slots__ = ("_at", "_switches", "next_step")

    def __init__(self, switches: Sequence[tuple[int, int]]) -> None:
        self._switches = switches
        self._at = 0
        self.next_step = switches[0][0] if switches else NO_STEP

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """The task of the schedule, if it can run."""
        return self._named(sched, enabled) or sched.current

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """The task of the schedule if the step is in it, else the next by number."""
        if sched.steps >= self.next_step:
            task = self._named(sched, enabled)
            if task is not None:
                return task
        return run_to_block(sched, enabled)

    def _named(self, sched: Moment, enabled: list[Task]) -> Task | None:
        """The task of the last switch that is due."""
        switches, at, steps = self._switches, self._at, sched.steps
        number = -1
        while at < len(switches) and switches[at][0] <= steps:
            number = switches[at][1]
            at += 1
        self._at = at
        self.next_step = switches[at][0] if at < len(switches) else NO_STEP
        for task in enabled:
            if task.number == number:
                return task
        return None
