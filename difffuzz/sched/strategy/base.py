# SPDX-License-Identifier: GPL-2.0-only
"""What a scheduling strategy is, and the run-to-block order that all of them depart from."""

from __future__ import annotations

from typing import Protocol

from difffuzz.sched.core import Task
from difffuzz.sched.interleave import Interleaver

NO_STEP = 1 << 60
"""A step that no run reaches."""


class Strategy(Protocol):
    """Decides which task goes on.  One object serves one run.

    `next_step` is the next step at which preempt() is to be asked; a strategy that knows it in
    advance makes the points before it cost next to nothing.
    """

    next_step: int

    def preempt(self, sched: Interleaver, enabled: list[Task]) -> Task:
        """Who goes on at this point; `sched.current` if it is not preempted."""

    def pick(self, sched: Interleaver, enabled: list[Task]) -> Task:
        """Who goes on now that the current task blocks, ends or relaxes."""


class Wrapper:
    """A strategy around another: asked when that one wants to be."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Strategy) -> None:
        self._inner = inner

    @property
    def next_step(self) -> int:
        """When the strategy inside wants to be asked."""
        return self._inner.next_step

    @next_step.setter
    def next_step(self, step: int) -> None:
        self._inner.next_step = step


def run_to_block(sched: Interleaver, enabled: list[Task]) -> Task:
    """The order without a strategy: the enabled task that follows the current one, by number."""
    number = sched.current.number
    for task in enabled:
        if task.number > number:
            return task
    return enabled[0]
