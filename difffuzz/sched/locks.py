# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's locks, with the checks that lockdep makes: mode, order, recursion, sleeping.

Order is a rank: a task may only take a lock of a higher rank than any it holds.  The ranks of the
locks in use are in one place, `Rank`, in the order that kvm's locking document gives.
"""

from __future__ import annotations

from enum import IntEnum
from functools import partial

from difffuzz.sched.core import Scheduler
from difffuzz.sched.task import KernelSplat, Task


class Rank(IntEnum):
    """Lock order, outermost first (Documentation/virt/kvm/locking.rst)."""

    PARAM_LOCK = 10
    SLOTS_LOCK = 20
    SLOTS_ARCH_LOCK = 30
    MMAP_LOCK = 40
    MN_INVALIDATE_LOCK = 50
    MMU_LOCK = 60
    PAGES_LOCK = 70


class Lock:
    """What every lock shares: a name, a rank, its holders and who waits for it."""

    __slots__ = ("name", "rank", "readers", "sched", "waiters", "writer")
    sleeps = False

    def __init__(self, sched: Scheduler, name: str, rank: int = Rank.MMAP_LOCK) -> None:
        self.sched = sched
        self.name = name
        self.rank = rank
        self.writer: Task | None = None
        self.readers: list[Task] = []
        self.waiters = 0

    def held(self) -> bool:
        """True if the current task holds the lock in either mode."""
        return self.writer is self.sched.current or self.sched.current in self.readers

    def assert_held_write(self, where: str) -> None:
        """lockdep_assert_held_write()."""
        if self.writer is not self.sched.current:
            raise KernelSplat("lock", where, f"{self.name} is not held for write")

    def assert_held_read(self, where: str) -> None:
        """lockdep_assert_held_read()."""
        if self.sched.current not in self.readers:
            raise KernelSplat("lock", where, f"{self.name} is not held for read")

    def assert_held(self, where: str) -> None:
        """lockdep_assert_held()."""
        if not self.held():
            raise KernelSplat("lock", where, f"{self.name} is not held")

    def is_contended(self) -> bool:
        """rwlock_needbreak(): another task waits for the lock."""
        self.sched.touch(("waiters", self.name), False)
        return self.waiters > 0

    def _check(self, task: Task) -> None:
        if self.writer is task and self not in task.held:
            self.sched.fence()  # it was released, but nobody sees that yet
        if self.writer is task or task in self.readers:
            raise KernelSplat("lock", self.name, "taken again by its holder")
        if task.held and task.held[-1].rank >= self.rank:
            raise KernelSplat("lock", self.name, f"taken inside {task.held[-1].name}: wrong order")
        if self.sleeps:
            self.sched.might_sleep(self.name)

    def _wait(self, exclusive: bool) -> None:
        self.sched.touch(("waiters", self.name))
        self.waiters += 1
        try:
            self.sched.wait(
                self.name, lambda: self.writer is None and not (exclusive and self.readers)
            )
        finally:
            self.waiters -= 1

    def _acquire(self, exclusive: bool) -> None:
        task = self.sched.current
        if task.held or task.rcu_depth or self.writer is not None or self.readers:
            self._check(task)
        self.sched.point(self.name, exclusive)
        if self.writer is not None or (exclusive and self.readers):
            self._wait(exclusive)
            self.sched.touch(self.name, exclusive)
        if exclusive:
            self.writer = task
        else:
            self.readers.append(task)
        task.held.append(self)
        if not self.sleeps:
            task.atomic += 1
        self.sched.acquired(self)

    def _release(self, exclusive: bool) -> None:
        task = self.sched.current
        if exclusive:
            if self.writer is not task:
                raise KernelSplat("lock", self.name, "released for write by a task without it")
            buffer = task.buffer
            if self.sleeps or buffer is None or not buffer.stores:
                self.writer = None
            else:  # a plain store, behind those that wait
                buffer.add(self.name, None, partial(setattr, self, "writer", None))
        else:
            if task not in self.readers:
                raise KernelSplat("lock", self.name, "released for read by a task without it")
            self.readers.remove(task)
        task.held.remove(self)
        if not self.sleeps:
            task.atomic -= 1
        self.sched.released(self, exclusive)
        self.sched.point()


class RwLock(Lock):
    """rwlock_t: kvm->mmu_lock."""

    __slots__ = ()

    def _yield(self, exclusive: bool) -> None:
        """Releases the lock and queues for it again, behind those that wait already."""
        self._release(exclusive)
        self.sched.touch(("waiters", self.name))
        self.waiters += 1
        try:
            self.sched.relax()
        finally:
            self.waiters -= 1
        self._acquire(exclusive)

    def read_lock(self) -> None:
        """Takes the lock shared."""
        self._acquire(False)

    def read_unlock(self) -> None:
        """Releases the lock held shared."""
        self._release(False)

    def write_lock(self) -> None:
        """Takes the lock exclusively."""
        self._acquire(True)

    def write_unlock(self) -> None:
        """Releases the lock held exclusively."""
        self._release(True)

    def cond_resched_write(self) -> bool:
        """cond_resched_rwlock_write(): lets a waiter in; True if the lock was dropped."""
        if not (self.sched.need_resched() or self.is_contended()):
            return False
        self._yield(True)
        return True

    def cond_resched_read(self) -> bool:
        """cond_resched_rwlock_read(): lets a waiter in; True if the lock was dropped."""
        if not (self.sched.need_resched() or self.is_contended()):
            return False
        self._yield(False)
        return True


class SpinLock(Lock):
    """spinlock_t."""

    __slots__ = ()

    def lock(self) -> None:
        """Takes the lock."""
        self._acquire(True)

    def unlock(self) -> None:
        """Releases the lock."""
        self._release(True)


class Mutex(SpinLock):
    """struct mutex: its holder may sleep, and taking it may sleep."""

    __slots__ = ()
    sleeps = True


class RwSemaphore(Lock):
    """struct rw_semaphore: mmap_lock."""

    __slots__ = ()
    sleeps = True

    def down_read(self) -> None:
        """Takes the lock shared."""
        self._acquire(False)

    def up_read(self) -> None:
        """Releases the lock held shared."""
        self._release(False)

    def down_write(self) -> None:
        """Takes the lock exclusively."""
        self._acquire(True)

    def up_write(self) -> None:
        """Releases the lock held exclusively."""
        self._release(True)
