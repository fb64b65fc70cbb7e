# SPDX-License-Identifier: GPL-2.0-only
"""Replay: follows a recorded schedule to the letter, and says so if that cannot be done."""

from __future__ import annotations

from difffuzz.sched.choice import NO_STEP, Moment, run_to_block
from difffuzz.sched.strategy import ScheduleStrategy
from difffuzz.sched.task import Task


class ReplayError(Exception):
    """The run is not the one that was recorded."""


class Replay(ScheduleStrategy):
    """(step, number of the task) pairs as record.py writes them; ReplayError if one is missed."""

    __slots__ = ()

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """The task recorded for this step."""
        step, number = self._switches[self._at]
        if step != sched.steps:
            raise ReplayError(f"step {step} of the schedule was passed by, at step {sched.steps}")
        self._at += 1
        self.next_step = self._switches[self._at][0] if self._at < len(self._switches) else NO_STEP
        for task in enabled:
            if task.number == number:
                return task
        raise ReplayError(f"step {step}: task {number} cannot run")

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """The task recorded for this step, else the next by number."""
        if sched.steps >= self.next_step:
            return self.preempt(sched, enabled)
        return run_to_block(sched, enabled)
