# SPDX-License-Identifier: GPL-2.0-only
"""What a concurrent program reaches on the model: which zaps yield mmu_lock halfway, and to whom;
what the VMM's two threads do at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from random import Random
from unittest.mock import patch

from difffuzz.engine import concurrent
from difffuzz.engine.concurrent import SideRun
from difffuzz.facts.spte import SPTE_MMU_PRESENT_MASK
from difffuzz.oracle import Verdict
from difffuzz.program import Kind, Op, Program
from difffuzz.program.limits import HOST_THREADS, VMM_THREAD, WORKER_THREAD
from difffuzz.sched import Scheduler, Task
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.locks import RwLock
from difffuzz.sched.strategy import RandomWalk
from difffuzz.sides import KvmFactory
from difffuzz.sides.machine import Machine, PageTableMemory

GAP = 20.0
"""Steps between two preemptions of the walk, about."""
UPDATES = (Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE, Kind.MEMSLOT_FLAGS)


class Watched(SideRun):
    """A run that counts states of interest."""

    def __init__(
        self,
        found: Counter[str],
        program: Program,
        factory: KvmFactory,
        number: int,
        verdict: Verdict,
        sched: Interleaver,
        trace: bool,
    ) -> None:
        machine = Machine(mem=lambda sched: Memory(sched, self))
        super().__init__(program, factory, number, verdict, sched, trace, machine)
        self.found = found
        self.flushes_ranges = program.config.range_flush
        self.cleared = [0] * 8
        """Leaves and tables that each thread's operation has cleared."""
        self.yielded: list[tuple[int, frozenset[str]]] = [(0, frozenset())] * 8
        """What had been cleared when it yielded mmu_lock after two or more, and to whom."""

    def _op(self, index: int, op: Op) -> None:
        self.cleared[op.thread], self.yielded[op.thread] = 0, (0, frozenset())
        super()._op(index, op)
        cleared, to = self.yielded[op.thread]
        if cleared and self.cleared[op.thread] > cleared:
            self.found["a zap yields halfway"] += 1
            self.found["... and flushes ranges"] += self.flushes_ranges
            for who in sorted(to):
                self.found[f"... to {who}"] += 1

    def yields(self) -> None:
        """The current task gives mmu_lock away."""
        thread = self._sched.current.number
        if self.cleared[thread] >= 2 and not self.yielded[thread][0]:
            waits = [task.number for task in self._sched.live if task.blocked_on == "mmu_lock"]
            self.yielded[thread] = self.cleared[thread], frozenset(map(name_of, waits))

    def _switched(self, task: Task, what: Hashable, following: Task) -> None:
        super()._switched(task, what, following)
        running = self.oracles.threads.all
        one, other = running[VMM_THREAD].op, running[WORKER_THREAD].op
        if one is not None and other is not None and other.kind is not Kind.NX_RECOVER:
            updates = "an update of memslots" if one.kind in UPDATES else "another ioctl"
            self.found[f"{other.kind.name.lower()} beside {updates}"] += 1


class Memory(PageTableMemory):
    """Page tables that tell the run of each entry that is cleared."""

    __slots__ = ("run",)

    def __init__(self, sched: Scheduler, run: Watched) -> None:
        super().__init__(sched)
        self.run = run

    def store(self, ptr: int, value: int) -> None:
        """Every store, the atomic ones too."""
        before = len(self.log)
        super().store(ptr, value)
        _, old, new = self.log[before]
        if old & ~new & SPTE_MMU_PRESENT_MASK:
            self.run.cleared[self.sched.current.number] += 1


def name_of(thread: int) -> str:
    """Who that is."""
    return "a notifier" if thread in HOST_THREADS else "another"


def reached_at_once(program: Program, factory: KvmFactory, seed: int) -> Counter[str]:
    """What one random walk of the program reaches there, and how often."""
    found = Counter[str]()
    runs: list[Watched] = []

    def watched(
        program: Program,
        factory: KvmFactory,
        number: int,
        verdict: Verdict,
        sched: Interleaver,
        trace: bool,
    ) -> Watched:
        runs.append(Watched(found, program, factory, number, verdict, sched, trace))
        return runs[-1]

    def noted(lock: RwLock, exclusive: bool) -> None:
        runs[-1].yields()
        yields(lock, exclusive)

    yields = RwLock._yield
    with patch.object(RwLock, "_yield", noted):
        concurrent.run_side(
            program,
            factory,
            0,
            Verdict(),
            lambda _: RandomWalk(Random(seed), GAP),
            max_steps=60_000,
            run_of=watched,
        )
    return +found
