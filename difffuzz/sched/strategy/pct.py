# SPDX-License-Identifier: GPL-2.0-only
"""PCT: random priorities, lowered at d-1 random steps (Burckhardt et al., ASPLOS 2010).

A bug that needs d ordering constraints among n tasks and k steps is met with a probability of at
least 1/(n k^(d-1)) in each run.
"""

from __future__ import annotations

from random import Random

from difffuzz.sched.choice import NO_STEP, Moment
from difffuzz.sched.task import Task


class Pct:
    """Depth `d`, in a run of about `length` steps.

    The highest priority that can run runs.  A task that relaxes falls below all others, since it
    waits for one of them.
    """

    __slots__ = ("_changes", "_low", "_priority", "_rng", "next_step")

    def __init__(self, rng: Random, depth: int, length: int) -> None:
        self._rng = rng
        self._changes = sorted(1 + rng.randrange(max(length, 1)) for _ in range(depth - 1))
        self._priority: dict[int, float] = {}
        self._low = 0.0
        self._changes.append(NO_STEP)
        self.next_step = self._changes[0]

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """A change point: the current task falls below all others."""
        while self._changes[0] <= sched.steps:
            self._changes.pop(0)
        self.next_step = self._changes[0]
        self._lower(sched.current)
        return max(enabled, key=self._of)

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """The one with the highest priority."""
        if sched.current not in enabled and sched.current.ready is None:
            self._lower(sched.current)
        return max(enabled, key=self._of)

    def _lower(self, task: Task) -> None:
        self._low -= 1.0
        self._priority[task.number] = self._low

    def _of(self, task: Task) -> float:
        value = self._priority.get(task.number)
        if value is None:
            value = self._priority[task.number] = 1.0 + self._rng.random()
        return value
