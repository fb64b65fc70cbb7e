# SPDX-License-Identifier: GPL-2.0-only
"""Round robin: each task runs a fixed number of steps, then the next one by number."""

from __future__ import annotations

from difffuzz.sched.choice import Moment, run_to_block
from difffuzz.sched.task import Task


class RoundRobin:
    """`quantum`: steps after which the next task goes on."""

    __slots__ = ("_quantum", "next_step")

    def __init__(self, quantum: int = 1) -> None:
        self._quantum = quantum
        self.next_step = quantum

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """The next task by number."""
        self.next_step = sched.steps + self._quantum
        return run_to_block(sched, enabled)

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """The next task by number, with a whole quantum."""
        self.next_step = sched.steps + self._quantum
        return run_to_block(sched, enabled)
