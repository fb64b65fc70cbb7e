# SPDX-License-Identifier: GPL-2.0-only
"""Wrapper: writes down where a strategy departs from run-to-block, as a schedule."""

from __future__ import annotations

from difffuzz.sched.choice import Moment, Strategy, run_to_block
from difffuzz.sched.task import Task

from .base import Wrapper


class Record(Wrapper):
    """`switches` is the schedule of the run so far, as (step, number of the task)."""

    __slots__ = "switches"

    def __init__(self, inner: Strategy) -> None:
        super().__init__(inner)
        self.switches: list[tuple[int, int]] = []

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """What the strategy says, noted if it is a switch."""
        task = self._inner.preempt(sched, enabled)
        if task is not sched.current:
            self.switches.append((sched.steps, task.number))
        return task

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """What the strategy says, noted if it is not the next by number."""
        task = self._inner.pick(sched, enabled)
        if task is not run_to_block(sched, enabled):
            self.switches.append((sched.steps, task.number))
        return task
