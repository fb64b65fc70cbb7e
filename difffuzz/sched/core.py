# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler that runs tasks one at a time.

A task is a thread of the kernel: a vCPU, a host thread, a VMM thread, a worker.  Model code is
written as plain calls; the primitives it calls (locks, SPTE accesses, RCU, requests) call
`Scheduler.point()`, the only places where another task may run.  In lockstep no point switches:
the budget is then just the limit on steps that turns an endless loop into a finding.

A task whose code may have to wait for another task runs on a greenlet of its own
(`Scheduler.spawn`); every other task borrows the greenlet of its caller (`Scheduler.run_as`).
The scheduler of concurrent runs is in interleave.py.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import TypeVar, TypeVarTuple, cast

from greenlet import getcurrent, greenlet

from difffuzz.sched.task import HeldLock, KernelSplat, Task

Args = TypeVarTuple("Args")
Result = TypeVar("Result")

STEP_LIMIT = 2_000_000
"""Preemption points that one run of a program may pass before it counts as an endless loop."""

OUT_OF_STEPS = "scheduler"
"""Where a KernelSplat of the step limit says it was found."""


class Scheduler:
    """Runs tasks one at a time; `current` is the one that runs now.

    `budget` counts down; below `threshold` a point does more than count.  `switches` counts how
    often another task went on.
    """

    __slots__ = ("budget", "current", "idle", "parked", "switches", "tasks", "threshold")
    frees_early = False
    """RCU callbacks run as soon as their grace period may be over, not only between operations."""

    def __init__(self, step_limit: int = STEP_LIMIT) -> None:
        self.budget = step_limit
        self.threshold = 0
        self.switches = 0
        self.idle = Task("main")
        self.current = self.idle
        self.tasks: list[Task] = [self.idle]
        self.parked: list[Task] = []

    def add_task(self, name: str, number: int = -1) -> Task:
        """A new task; it does nothing until it is spawned or run."""
        task = Task(name, number)
        self.tasks.append(task)
        return task

    def point(self, what: Hashable = None, write: bool = True) -> None:
        """A place where another task may run, just before the current one touches `what`.

        `what` names a piece of shared state (a pointer to an SPTE, a lock, ...), `write` says that
        it may change.  Raises KernelSplat(progress) at the step limit.
        """
        self.budget -= 1
        if self.budget < self.threshold:
            self.decide(what, write)

    def decide(self, what: Hashable, write: bool) -> None:
        """What a point does below the threshold: here, the limit is reached."""
        raise KernelSplat("progress", OUT_OF_STEPS, "step limit reached")

    def store_point(self, what: Hashable) -> bool:
        """A point before a plain store to `what`; True: it goes into the task's store buffer."""
        self.budget -= 1
        return self.budget < self.threshold and self.decide_store(what)

    def decide_store(self, what: Hashable) -> bool:
        """What a store's point does below the threshold."""
        self.decide(what, True)
        return False

    def store(self, what: Hashable, cell: object, name: str, value: object) -> None:
        """WRITE_ONCE(cell->name, value), where `what` names it: a point, then a plain store."""
        self.budget -= 1
        if self.budget < self.threshold and self.decide_store(what):
            self.delay(what, value, partial(setattr, cell, name, value))
        else:
            setattr(cell, name, value)

    def delay(self, what: Hashable, value: object, commit: Callable[[], None]) -> None:
        """A store goes into the current task's store buffer."""
        assert self.current.buffer is not None
        self.current.buffer.add(what, value, commit)

    def seen(self, what: Hashable, value: Result) -> Result:
        """What the current task reads, where memory has `value`: its own store that waits."""
        buffer = self.current.buffer
        if buffer is None or not buffer.stores:
            return value
        own = buffer.newest(what)
        return value if own is None else cast(Result, own.value)

    def fence(self) -> None:
        """smp_mb(), or a locked instruction: what the current task stored is visible.

        If a store waits, another task may run before.
        """
        buffer = self.current.buffer
        if buffer is not None and buffer.stores:
            self.point()
            buffer.drain()

    def touch(self, what: Hashable, write: bool = True) -> None:
        """Notes that the current task touches shared state, where no other task may come in."""

    def acquired(self, lock: HeldLock) -> None:
        """The current task has just taken `lock`."""

    def released(self, lock: HeldLock, exclusive: bool) -> None:
        """The current task has just released `lock`."""

    def relax(self) -> None:
        """cpu_relax() in a loop that waits for another task; with nobody else to run, nothing."""

    def run_as(self, task: Task, body: Callable[[*Args], Result], *args: *Args) -> Result:
        """Runs `body` as `task` on the caller's greenlet; waiting there is a deadlock."""
        before = self.current
        self.current = task
        try:
            return body(*args)
        finally:
            self.current = before

    def spawn(self, task: Task, body: Callable[[], None]) -> None:
        """Gives `task` a greenlet that will run `body`, and runs it until it ends or waits."""
        task.glet = greenlet(body)
        self.resume(task)

    def resume(self, task: Task) -> None:
        """Continues a spawned task until it ends, waits or parks.  Its exceptions come out here."""
        assert task.glet is not None
        before = self.current
        self.current = task
        try:
            task.glet.switch()
        finally:
            self.current = before

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """The current task sleeps until `ready()`; with no other task to run it is a deadlock."""
        task = self.current
        while not ready():
            if task.glet is None or task.glet is not getcurrent():
                raise KernelSplat("deadlock", task.name, f"waits for {what} that nobody will give")
            task.blocked_on = what
            self._leave(task)
        task.blocked_on = None

    def park_point(self) -> None:
        """Where a parked fault stops: its pfn is faulted in, mmu_lock not yet taken."""
        task = self.current
        if not task.want_park:
            return
        task.want_park = False
        task.parked = True
        self.parked.append(task)
        self._leave(task)
        self.parked.remove(task)
        task.parked = False

    def might_sleep(self, where: str) -> None:
        """Sleeping with a spinning lock held or inside an RCU read section is a bug."""
        task = self.current
        if task.atomic:
            raise KernelSplat("lock", where, f"sleeps while {task.held[-1].name} is held")
        if task.rcu_depth:
            raise KernelSplat("rcu", where, "sleeps inside an RCU read section")

    def need_resched(self) -> bool:
        """True when the current task should give up the CPU; in lockstep it never should."""
        return False

    @staticmethod
    def _leave(task: Task) -> None:
        assert task.glet is not None
        parent = task.glet.parent
        assert parent is not None
        parent.switch()
