# SPDX-License-Identifier: GPL-2.0-only
"""Selectively uniform random walk (Zhao et al., ASPLOS 2025): all orders of what matters, alike.

A walk that picks tasks evenly lets short ones end first.  Here the task that makes the next
interesting access is drawn by how many it is expected to have left, which makes all interleavings
of interesting accesses equally likely if the expectation is right.  Until it has made it, the other
tasks stop before theirs; what is not interesting goes in any order.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Mapping
from random import Random

from difffuzz.sched.choice import Moment
from difffuzz.sched.task import Task

UNEXPECTED = 0.5
"""The weight of a task that has interesting accesses left though none was expected."""
NOBODY = -1


class Surw:
    """Decides at each step.  `interesting` things, and how many accesses to them each task, by
    number, is expected to make."""

    __slots__ = ("_interesting", "_left", "_next", "_rng", "next_step")

    def __init__(
        self, rng: Random, interesting: Container[Hashable], expected: Mapping[int, float]
    ) -> None:
        self._rng = rng
        self._interesting = interesting
        self._left = dict(expected)
        self._next = NOBODY
        self.next_step = 0

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """Any task that stands before nothing interesting, or whose turn it is."""
        return self.pick(sched, enabled)

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """Any task that stands before nothing interesting, or whose turn it is."""
        interesting, left = self._interesting, self._left
        if self._next == NOBODY:
            self._next = self._draw(list(left), list(left.values()))
        ready = [
            task for task in enabled if task.number == self._next or task.wants not in interesting
        ]
        if not ready:
            # Whose turn it is has ended, or waits for another.
            weights = [max(left.get(task.number, 0.0), UNEXPECTED) for task in enabled]
            self._next = self._draw([task.number for task in enabled], weights)
            ready = [task for task in enabled if task.number == self._next]
        chosen = self._rng.choice(ready)
        if chosen.wants in interesting:
            left[chosen.number] = max(left.get(chosen.number, 0.0) - 1.0, 0.0)
            self._next = NOBODY
        return chosen

    def _draw(self, numbers: list[int], weights: list[float]) -> int:
        if not any(weights):
            return NOBODY
        return self._rng.choices(numbers, weights)[0]
