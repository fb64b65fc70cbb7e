# SPDX-License-Identifier: GPL-2.0-only
"""What the threads of a small program share: cells and mutexes, with a preemption point before each
access, each lock and each unlock."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from ...sched import KernelSplat, Scheduler, Task

Body = Callable[[], None]


class Cell:
    """A variable; `+=` of C is get() and set()."""

    __slots__ = ("_sched", "_value", "name")

    def __init__(self, sched: Scheduler, name: str, value: int) -> None:
        self._sched = sched
        self._value = value
        self.name = name

    def get(self) -> int:
        """Reads it."""
        self._sched.point(self.name, False)
        return self._value

    def set(self, value: int) -> None:
        """Writes it."""
        self._sched.point(self.name)
        self._value = value

    def add(self, value: int) -> None:
        """Reads and writes it, which another thread can come between."""
        self.set(self.get() + value)


class Lock:
    """A mutex without the checks of sched/locks.py: a deadlock has to happen to be seen."""

    __slots__ = ("_sched", "name", "writer")
    rank = 0
    sleeps = True

    def __init__(self, sched: Scheduler, name: str) -> None:
        self._sched = sched
        self.name = name
        self.writer: Task | None = None

    def __enter__(self) -> None:
        self.lock()

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            self.unlock()

    def lock(self) -> None:
        """Takes it."""
        sched = self._sched
        sched.point(self.name)
        if self.writer is not None:
            sched.wait(self.name, lambda: self.writer is None)
        self.writer = sched.current
        sched.current.held.append(self)

    def unlock(self) -> None:
        """Releases it."""
        sched = self._sched
        sched.point(self.name)
        self.writer = None
        sched.current.held.remove(self)


class World:
    """Makes what a program shares; `mended`: its bug is not there.  `main`: what the first thread
    does when it has made the others."""

    __slots__ = ("main", "mended", "name", "sched")

    def __init__(self, name: str, sched: Scheduler, mended: bool) -> None:
        self.name = name
        self.sched = sched
        self.mended = mended
        self.main: Body | None = None

    def cell(self, name: str, value: int = 0) -> Cell:
        """A variable."""
        return Cell(self.sched, name, value)

    def cells(self, name: str, count: int) -> list[Cell]:
        """An array."""
        return [Cell(self.sched, f"{name}[{at}]", 0) for at in range(count)]

    def lock(self, name: str) -> Lock:
        """A mutex."""
        return Lock(self.sched, name)

    def check(self, holds: bool) -> None:
        """An assertion."""
        if not holds:
            self.fail()

    def fail(self) -> NoReturn:
        """The program's bug shows."""
        raise KernelSplat("warn", self.name, "an assertion fails")


Make = Callable[[World], list[Body]]
"""The bodies of the threads that the first one makes, in their order."""
