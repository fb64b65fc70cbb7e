# SPDX-License-Identifier: GPL-2.0-only
"""Wrapper: counts what a strategy does, and what the tasks make it do."""

from __future__ import annotations

from difffuzz.sched.choice import Moment, Strategy
from difffuzz.sched.strategy.base import Wrapper
from difffuzz.sched.task import Task


class Metrics(Wrapper):
    """`preemptions`: switches away from a task that could go on; `forced`: the other choices;
    `asked`: points at which the strategy was asked; `widest`: most tasks that could run at once.
    """

    __slots__ = ("asked", "forced", "preemptions", "widest")

    def __init__(self, inner: Strategy) -> None:
        super().__init__(inner)
        self.asked = 0
        self.forced = 0
        self.preemptions = 0
        self.widest = 0

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """What the strategy says."""
        self.asked += 1
        self.widest = max(self.widest, len(enabled))
        task = self._inner.preempt(sched, enabled)
        self.preemptions += task is not sched.current
        return task

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """What the strategy says."""
        self.forced += 1
        self.widest = max(self.widest, len(enabled))
        return self._inner.pick(sched, enabled)
