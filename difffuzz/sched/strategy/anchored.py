# SPDX-License-Identifier: GPL-2.0-only
"""Where a run departs from run-to-block, said by operations: it outlives a change of the program.

A step of a schedule counts all that every thread did before it, so that it means another place as
soon as an operation in front of it changes.  An anchor counts the points of one operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from difffuzz.sched.choice import Moment, Strategy, run_to_block
from difffuzz.sched.task import Task


class Anchor(NamedTuple):
    """The task `thread`, at its `points`-th point since it began operation `op` (-1: before its
    first), is left for the task `to`.  Tasks by number."""

    thread: int
    op: int
    points: int
    to: int


class _Places:
    """How many points each task passed since it began its operation."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: dict[int, tuple[int, int]] = {}

    def pass_point(self, task: Task) -> tuple[int, int]:
        """Operation and points of a task that is at one more point."""
        op, points = self._at.get(task.number, (-1, 0))
        here = (op, points + 1) if op == task.operation else (task.operation, 1)
        self._at[task.number] = here
        return here


class Locate:
    """Wrapper: writes down where a strategy departs from run-to-block, as anchors.

    It wants to be asked at every step, for it counts them.
    """

    __slots__ = ("_inner", "_places", "anchors", "next_step")

    def __init__(self, inner: Strategy) -> None:
        self.next_step = 0
        self._inner = inner
        self._places = _Places()
        self.anchors: list[Anchor] = []

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """What the strategy says, noted if it is a switch."""
        here = self._places.pass_point(sched.current)
        chosen = sched.current
        if sched.steps >= self._inner.next_step:
            chosen = self._inner.preempt(sched, enabled)
        if chosen is not sched.current:
            self.anchors.append(Anchor(sched.current.number, *here, chosen.number))
        return chosen

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """What the strategy says, noted if it is not the next by number."""
        here = self._places.pass_point(sched.current)
        chosen = self._inner.pick(sched, enabled)
        if chosen is not run_to_block(sched, enabled):
            self.anchors.append(Anchor(sched.current.number, *here, chosen.number))
        return chosen


class Anchored:
    """Departs from run-to-block at anchors, in their order; later if the operation is shorter now.

    One whose task cannot run is passed over.
    """

    __slots__ = ("_anchors", "_places", "next_step")

    def __init__(self, anchors: Sequence[Anchor]) -> None:
        self._anchors = list(reversed(anchors))
        self._places = _Places()
        self.next_step = 0

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """The task of the anchor that is reached, else the current one."""
        return self._named(sched, enabled) or sched.current

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """The task of the anchor that is reached, else the next by number."""
        return self._named(sched, enabled) or run_to_block(sched, enabled)

    def _named(self, sched: Moment, enabled: list[Task]) -> Task | None:
        current = sched.current
        here = self._places.pass_point(current)
        while self._anchors:
            thread, op, points, to = self._anchors[-1]
            if thread != current.number or (op, points) > here:
                return None
            self._anchors.pop()
            for task in enabled:
                if task.number == to:
                    return task
        return None
