# SPDX-License-Identifier: GPL-2.0-only
"""Random walk: at every point another task goes on with the same small probability."""

from __future__ import annotations

from random import Random

from difffuzz.sched.choice import Moment
from difffuzz.sched.task import Task


class RandomWalk:
    """Preempts about every `gap` steps, or with 0 decides at each; all choices are uniform."""

    __slots__ = ("_gap", "_rng", "next_step")

    def __init__(self, rng: Random, gap: float = 20.0) -> None:
        self._rng = rng
        self._gap = gap
        self.next_step = self._draw()

    def _draw(self) -> int:
        return 1 + int(self._rng.expovariate(1 / self._gap)) if self._gap else 1

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """Any task that can run, the current one too."""
        self.next_step = sched.steps + self._draw()
        return self._rng.choice(enabled)

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """Any task that can run."""
        return self._rng.choice(enabled)
