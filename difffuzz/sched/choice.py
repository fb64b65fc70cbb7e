# SPDX-License-Identifier: GPL-2.0-only
"""What a scheduling strategy is, what it sees of a run, and the order that all of them depart from.

A strategy is handed the tasks that can go on; those that wait for a lock or for another task are
not among them.
"""

from __future__ import annotations

from typing import Protocol

from difffuzz.sched.task import Task

NO_STEP = 1 << 60
"""A step that no run reaches."""


class Moment(Protocol):
    """A run at the moment at which a strategy is asked; all that a strategy may look at."""

    @property
    def current(self) -> Task:
        """Who runs, or ran until now."""

    @property
    def steps(self) -> int:
        """Steps so far, this one included."""

    @property
    def watched(self) -> bool:
        """This is a phase whose schedules differ: its choices are to be told by note()."""

    def note(self, enabled: list[Task], chosen: Task, forced: bool) -> None:
        """Tells who is chosen of whom; `forced`: the current task cannot go on."""


class Strategy(Protocol):
    """Decides which task goes on.  One object serves one run.

    `next_step` is the next step at which preempt() is to be asked; a strategy that knows it in
    advance makes the points before it cost next to nothing.
    """

    next_step: int

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """Who goes on at this point; `sched.current` if it is not preempted."""

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """Who goes on now that the current task blocks, ends or relaxes."""


def run_to_block(sched: Moment, enabled: list[Task]) -> Task:
    """The order without a strategy: the enabled task that follows the current one, by number.

    Never a store buffer, which stands behind the tasks: what waits there, waits.
    """
    number = sched.current.number
    for task in enabled:
        if task.number > number and task.owner is None:
            return task
    return enabled[0]
