# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler of concurrent runs: every task on a greenlet, a strategy decides who goes on.

A task runs until it blocks, ends, relaxes (a loop that waits for another task) or until the
strategy preempts it at a preemption point.  Points and forced changes are numbered from 1 in the
order in which they happen: these numbers are the steps of a schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial

from greenlet import GreenletExit, getcurrent, greenlet

from difffuzz.sched.choice import Strategy
from difffuzz.sched.core import OUT_OF_STEPS, STEP_LIMIT, Scheduler
from difffuzz.sched.locks import Rank
from difffuzz.sched.store_buffer import FIRST_BUFFER, StoreBuffer
from difffuzz.sched.task import HeldLock, KernelSplat, Task

MMU_LOCK = Rank.MMU_LOCK
SNAPSHOTS = "snapshots"
"""Shared state of the oracles: faults that found their page out, before or after invalidations."""
NEVER = -(1 << 62)
"""A threshold that no budget comes below."""
ALWAYS = 1 << 62
"""One that every budget is below."""


class Interleaver(Scheduler):
    """Runs the tasks of one phase after the other under a strategy.

    Outside of run() it behaves like the scheduler of lockstep: nothing switches.
    """

    __slots__ = (
        "_drains",
        "_limit",
        "_strategy",
        "delays",
        "hub",
        "last",
        "live",
        "on_mmu_lock",
        "on_store",
        "on_switch",
        "watched",
    )
    frees_early = True

    def __init__(self, strategy: Strategy, step_limit: int = STEP_LIMIT) -> None:
        super().__init__(step_limit)
        self.delays = False
        """Stores may be delayed, as on x86: the strategy decides which, and until when."""
        self._drains: list[Task] = []
        self.on_switch: Callable[[Task, Hashable, Task], None] | None = None
        self.on_mmu_lock: Callable[[Task], None] | None = None
        self.on_store: Callable[[Task, Hashable, bool], None] | None = None
        """Is told whose store to what is delayed (False), or becomes visible (True)."""
        self._limit = step_limit
        self._strategy = strategy
        self.hub: greenlet | None = None
        self.live: list[Task] = []
        self.last = self.idle
        self.watched = True

    @property
    def steps(self) -> int:
        """Steps so far: what a strategy counts by, and the clock of the oracles."""
        return self._limit - self.budget

    def restart(self) -> None:
        """Counts steps from here: the VM is made, the program begins."""
        self.budget = self._limit

    def run(self, bodies: Sequence[tuple[Task, Callable[[], None]]]) -> None:
        """Runs the tasks to their ends.

        KernelSplat for a deadlock, the step limit and whatever else a task's kernel reports; the
        other tasks are given up then.
        """
        self.hub = getcurrent()
        self.live = [task for task, _ in bodies]
        for task, body in bodies:
            task.glet = greenlet(body)
            task.wants = None
        if self.delays:
            self._drains = [_give_buffer(task) for task in self.live]
        try:
            while self.live:
                self.budget -= 1
                enabled = self.enabled()
                if not enabled:
                    raise self._deadlock()
                task = self._pick(enabled)
                self._arm()
                self.current = task
                self.switches += 1
                task.ran_at = self.switches
                assert task.glet is not None
                task.glet.switch()
                # Back here: whoever ran last has ended.
                self.live.remove(self.current)
            for drain in self._drains:
                assert drain.buffer is not None
                drain.buffer.drain()
        finally:
            self.last = self.current
            self.hub = None
            self.threshold = NEVER
            self._give_up()
            self.current = self.idle
            self.threshold = 0

    def note(self, enabled: list[Task], chosen: Task, forced: bool) -> None:
        """Is told a choice where a search wants to know it (tracing.py)."""

    def enabled(self) -> list[Task]:
        """The tasks that can go on and should, in the order of their numbers."""
        found = []
        starved = False
        for task in self.live:
            ready = task.ready
            if ready is None or ready():
                found.append(task)
                if task.starves:
                    starved = True
        if starved:
            found = self._fair(found)
        if self.delays:
            for drain in self._drains:
                buffer = drain.buffer
                if buffer is not None and (buffer.stores or buffer.storing):
                    found.append(drain)
        return found

    def _fair(self, found: list[Task]) -> list[Task]:
        """Without those that relax again and again and keep others from running by that."""
        fair = []
        for task in found:
            at = task.relaxed_at
            task.starves = [one for one in task.starves if one.ran_at < at and one in found]
            if not task.starves:
                fair.append(task)
        return fair or found

    def decide(self, what: Hashable, write: bool) -> None:
        """At the step that the strategy named, or at the step limit."""
        if self.budget < 0:
            raise KernelSplat("progress", OUT_OF_STEPS, "step limit reached")
        if self.hub is None:
            return
        current = self.current
        current.wants = what
        current.changes = write
        if self.delays:
            self._decide_among_buffers(what)
            return
        enabled = self.enabled()
        task = self._strategy.preempt(self, enabled)
        self._arm()
        if task is not current:
            self._switch(task, what)

    def _decide_among_buffers(self, what: Hashable) -> None:
        """Who goes on, and which stores are delayed or become visible before.

        `what` is touched by a locked instruction, unless it is read, or a plain store begins.
        """
        current = self.current
        while self.steps >= self._strategy.next_step:
            task = self._strategy.preempt(self, self.enabled())
            if task.owner is not None:
                following = self._choose_buffer(task)
                if following is None:
                    continue
                task = following
            if task is not current:
                self._arm()
                self._switch(task, what)
            break
        buffer = current.buffer
        locked = buffer is not None and not (buffer.storing or buffer.plain)
        if locked and current.changes and what is not None:
            self._drain()
        self._arm()

    def _choose_buffer(self, drain: Task) -> Task | None:
        """A store buffer is chosen; who goes on if it takes a store, None if it commits one."""
        owner, buffer = drain.owner, drain.buffer
        assert owner is not None
        assert buffer is not None
        if not buffer.stores:
            buffer.takes = True
            return owner
        buffer.commit()
        self.budget -= 1
        if self.budget < 0:
            raise KernelSplat("progress", OUT_OF_STEPS, "step limit reached")
        return None

    def _drain(self) -> None:
        """What the current task stored is visible."""
        buffer = self.current.buffer
        if buffer is not None:
            buffer.drain()

    def decide_store(self, what: Hashable) -> bool:
        """A store that is delayed if the strategy says so, or because others wait already."""
        current = self.current
        buffer = current.buffer
        if buffer is None:
            return super().decide_store(what)
        buffer.storing = True
        try:
            self.decide(what, True)
        finally:
            buffer.storing = False
        taken, buffer.takes = buffer.takes, False
        return taken or bool(buffer.stores)

    def delay(self, what: Hashable, value: object, commit: Callable[[], None]) -> None:
        """From here on all points are looked at."""
        if self.on_store is not None:
            self.on_store(self.current, what, False)
            commit = partial(self._commit, self.current, what, commit)
        super().delay(what, value, commit)
        self._arm()

    def _commit(self, owner: Task, what: Hashable, commit: Callable[[], None]) -> None:
        """A store becomes visible, and somebody wants to know."""
        commit()
        if self.on_store is not None:
            self.on_store(owner, what, True)

    def acquired(self, lock: HeldLock) -> None:
        """A locked instruction; tells who wants to know about mmu_lock."""
        if self.delays:
            self._drain()
        if lock.rank == MMU_LOCK and self.on_mmu_lock is not None:
            self.on_mmu_lock(self.current)

    def released(self, lock: HeldLock, exclusive: bool) -> None:
        """A plain store if it spins and is exclusive, which locks.py delays; else a locked one."""
        if self.delays and (not exclusive or lock.sleeps):
            self._drain()

    def relax(self) -> None:
        """Lets another task run, if there is one that can.

        Whoever could have run since the current task relaxed before, and did not, comes first.
        """
        if self.hub is None:
            return
        current = self.current
        self._drain()
        others = [task for task in self.enabled() if task is not current]
        if others:
            current.wants = None
            current.starves = [task for task in others if task.ran_at < current.relaxed_at]
            current.relaxed_at = self.switches
            self._forced(others)

    def wait(self, what: str, ready: Callable[[], bool]) -> None:
        """The current task sleeps until `ready()`."""
        if self.hub is None:
            super().wait(what, ready)
            return
        task = self.current
        self._drain()
        while not ready():
            task.blocked_on = task.wants = what
            task.changes = True
            task.ready = ready
            enabled = self.enabled()
            if not enabled:
                raise self._deadlock()
            self._forced(enabled)
            task.ready = None
        task.blocked_on = None

    def park_point(self) -> None:
        """A fault that is to be parked lets the others run here."""
        if self.hub is None:
            super().park_point()
            return
        task = self.current
        self.touch(SNAPSHOTS, False)
        task.parked_at = self.steps
        if task.want_park:
            task.want_park = False
            self.relax()

    def _forced(self, enabled: list[Task]) -> None:
        """The current task cannot go on, or should not: another one does."""
        self.budget -= 1
        if self.budget < 0:
            raise KernelSplat("progress", OUT_OF_STEPS, "step limit reached")
        task = self._pick(enabled)
        self._arm()
        self._switch(task, self.current.blocked_on)

    def _pick(self, enabled: list[Task]) -> Task:
        """Who goes on now that the current task cannot."""
        while True:
            task = self._strategy.pick(self, enabled)
            if task.owner is None:
                return task
            following = self._choose_buffer(task)
            if following is not None:
                return following
            enabled = self.enabled()

    def _arm(self) -> None:
        """Sets the threshold to the next step at which the strategy wants to be asked.

        While a store waits, each point may be a locked instruction, and is looked at.
        """
        threshold = self._limit - self._strategy.next_step + 1
        self.threshold = threshold if threshold > 0 else 0  # max() would be a call
        if self.delays:
            for drain in self._drains:
                if drain.buffer is not None and drain.buffer.stores:
                    self.threshold = ALWAYS

    def _switch(self, task: Task, what: Hashable) -> None:
        if self.on_switch is not None:
            self.on_switch(self.current, what, task)
        self.current = task
        self.switches += 1
        task.ran_at = self.switches
        assert task.glet is not None
        task.glet.switch()

    def _deadlock(self) -> KernelSplat:
        waits = ", ".join(
            f"{task.name} waits for {task.blocked_on}{self._holders(task)}" for task in self.live
        )
        where = "+".join(sorted({str(task.blocked_on) for task in self.live}))
        return KernelSplat("deadlock", where, waits)

    def _holders(self, waiter: Task) -> str:
        names = [
            task.name
            for task in self.live
            if any(lock.name == waiter.blocked_on for lock in task.held)
        ]
        return f" (held by {', '.join(names)})" if names else ""

    def _give_up(self) -> None:
        """Ends the tasks that are left; what their cleanup says no longer matters."""
        for task in self.live:
            self.current = task
            if task.alive:
                assert task.glet is not None
                with suppress(Exception):
                    task.glet.throw(GreenletExit)
            task.ready = None
        for drain in self._drains:
            assert drain.owner is not None
            drain.owner.buffer = None
        self._drains = []
        self.live = []


def _give_buffer(owner: Task) -> Task:
    """A store buffer for the task; what strategies see of it."""
    drain = Task(f"{owner.name}.buffer", FIRST_BUFFER + owner.number)
    drain.owner = owner
    drain.buffer = owner.buffer = StoreBuffer()
    return drain
