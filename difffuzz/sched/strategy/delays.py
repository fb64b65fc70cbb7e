# SPDX-License-Identifier: GPL-2.0-only
"""Wrapper: draws which stores are delayed and until when; who goes on, the strategy inside says.

That one never sees a store buffer.
"""

from __future__ import annotations

from random import Random

from difffuzz.sched.choice import Moment, Strategy
from difffuzz.sched.task import Task

OFTEN = (0.1, 0.5, 1.0)
"""How often a store is delayed, in a run: one of these."""
COMMITS = (0.0, 0.02, 0.2)
"""How often the oldest one that waits becomes visible, at each step: one of these.  With the first,
only fences and locked instructions make it so."""


class Delays:
    """Decides at each step of a phase that is watched."""

    __slots__ = ("_commits", "_inner", "_often", "_rng", "next_step")

    def __init__(self, inner: Strategy, rng: Random) -> None:
        self._inner = inner
        self._rng = rng
        self._often = rng.choice(OFTEN)
        self._commits = rng.choice(COMMITS)
        self.next_step = 0

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """A store buffer, or what the strategy says."""
        drawn = self._draw(sched, enabled)
        if drawn is not None:
            return drawn
        if sched.steps < self._inner.next_step:
            return sched.current
        return self._inner.preempt(sched, _threads(enabled))

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """A store buffer that commits, or what the strategy says."""
        drawn = self._draw(sched, enabled)
        if drawn is not None:
            return drawn
        threads = _threads(enabled)
        return self._inner.pick(sched, threads) if threads else enabled[0]

    def _draw(self, sched: Moment, enabled: list[Task]) -> Task | None:
        if not sched.watched:
            return None
        for one in enabled:
            if one.owner is None:
                continue
            assert one.buffer is not None
            if one.buffer.stores:
                if self._rng.random() < self._commits:
                    return one
            elif one.owner is sched.current and self._rng.random() < self._often:
                return one
        return None


def _threads(enabled: list[Task]) -> list[Task]:
    return [task for task in enabled if task.owner is None]
