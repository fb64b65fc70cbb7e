# SPDX-License-Identifier: GPL-2.0-only
"""Wrapper: finds nondeterminism that no schedule controls.

The first run is written down choice by choice; a second run of the same program under the same
strategy must come to the same choices: same step, same current task, same tasks that can run.
"""

from __future__ import annotations

from difffuzz.sched.choice import Moment, Strategy
from difffuzz.sched.task import Task

from .base import Wrapper

Choice = tuple[int, int, tuple[int, ...], int]


class Nondeterminism(Exception):
    """Two runs that must be equal are not."""


class Check(Wrapper):
    """`expected`: the `choices` of the first run, or None for the first run itself."""

    __slots__ = ("_expected", "choices")

    def __init__(self, inner: Strategy, expected: list[Choice] | None = None) -> None:
        super().__init__(inner)
        self._expected = expected
        self.choices: list[Choice] = []

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """What the strategy says, compared."""
        return self._note(sched, enabled, self._inner.preempt(sched, enabled))

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """What the strategy says, compared."""
        return self._note(sched, enabled, self._inner.pick(sched, enabled))

    def _note(self, sched: Moment, enabled: list[Task], task: Task) -> Task:
        numbers = tuple(one.number for one in enabled)
        choice = (sched.steps, sched.current.number, numbers, task.number)
        at = len(self.choices)
        self.choices.append(choice)
        if self._expected is not None:
            wanted = self._expected[at] if at < len(self._expected) else None
            if wanted != choice:
                raise Nondeterminism(f"choice {at} was {wanted}, now it is {choice}")
        return task
