# SPDX-License-Identifier: GPL-2.0-only
"""RCU with grace periods and deferred frees, and sleepable RCU."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from difffuzz.sched.core import Scheduler
from difffuzz.sched.task import KernelSplat, Task

Arg = TypeVar("Arg")


class Rcu:
    """Read sections and call_rcu(): a callback waits for the sections open at its queueing."""

    __slots__ = ("_queue", "sched")

    def __init__(self, sched: Scheduler) -> None:
        self.sched = sched
        self._queue: deque[tuple[list[tuple[Task, int]], Callable[[], None]]] = deque()

    def read_lock(self) -> None:
        """rcu_read_lock()."""
        task = self.sched.current
        self.sched.touch("rcu", False)
        if not task.rcu_depth:
            task.rcu_section += 1
        task.rcu_depth += 1
        self.sched.point("rcu section", False)

    def read_unlock(self) -> None:
        """rcu_read_unlock()."""
        task = self.sched.current
        if not task.rcu_depth:
            raise KernelSplat("rcu", "rcu_read_unlock", "without rcu_read_lock")
        task.rcu_depth -= 1
        self.sched.touch("rcu", False)
        if self._queue and self.sched.frees_early and not task.rcu_depth:
            self.run_callbacks()
        self.sched.point("rcu section", False)

    def read_lock_held(self) -> bool:
        """rcu_read_lock_held() of the current task."""
        return self.sched.current.rcu_depth > 0

    def call_rcu(self, callback: Callable[[Arg], None], arg: Arg) -> None:
        """Queues `callback(arg)` behind every read section that is open now."""
        self.sched.touch("rcu")
        readers = [(t, t.rcu_section) for t in self.sched.tasks if t.rcu_depth]
        self._queue.append((readers, partial(callback, arg)))

    def run_callbacks(self) -> int:
        """Runs, in order, the callbacks whose grace period is over; returns how many ran."""
        ran = 0
        if self._queue:
            self.sched.touch("rcu")
        while self._queue:
            readers, callback = self._queue[0]
            if any(t.rcu_depth and t.rcu_section == section for t, section in readers):
                break
            self._queue.popleft()
            callback()
            ran += 1
        return ran

    def barrier(self) -> None:
        """rcu_barrier(): waits until every queued callback ran."""
        self.sched.might_sleep("rcu_barrier")
        self.run_callbacks()
        if self._queue:
            self.sched.wait("an RCU grace period", self._drained)

    def _drained(self) -> bool:
        self.run_callbacks()
        return not self._queue


class Srcu:
    """struct srcu_struct: readers may sleep, synchronize() waits for those that came before it."""

    __slots__ = ("counts", "idx", "name", "sched")

    def __init__(self, sched: Scheduler, name: str) -> None:
        self.sched = sched
        self.name = name
        self.idx = 0
        self.counts = {0: 0}

    def read_lock(self) -> int:
        """srcu_read_lock(), a full barrier on x86: returns the index to give back."""
        self.sched.fence()
        idx = self.idx
        self.counts[idx] += 1
        self.sched.current.srcu += 1
        self.sched.touch(self.name, False)
        return idx

    def read_unlock(self, idx: int) -> None:
        """srcu_read_unlock(), a full barrier on x86."""
        if not self.counts.get(idx):
            raise KernelSplat("rcu", self.name, "srcu_read_unlock without a reader")
        self.sched.fence()
        self.counts[idx] -= 1
        self.sched.current.srcu -= 1
        self.sched.touch(self.name, False)
        self.sched.point()

    def read_lock_held(self) -> bool:
        """srcu_read_lock_held() of the current task."""
        return self.sched.current.srcu > 0

    def synchronize(self) -> None:
        """synchronize_srcu(): sleeps until every reader that is in now has left."""
        self.sched.might_sleep(f"synchronize_srcu({self.name})")
        self.sched.fence()
        self.sched.touch(self.name)
        old = [idx for idx, readers in self.counts.items() if readers]
        self.idx += 1
        self.counts = {idx: self.counts[idx] for idx in old}
        self.counts[self.idx] = 0
        self.sched.point()
        if old:
            self.sched.wait(
                f"readers of {self.name}", lambda: not any(self.counts[idx] for idx in old)
            )
