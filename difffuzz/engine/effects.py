# SPDX-License-Identifier: GPL-2.0-only
"""What a model does to the world, written down: the strict view that a refactoring must not change.

Effects are the stores to SPTEs with the lock they are made under, locks, requests to vCPUs (flushes
are requests), references to pages and to roots, pages told to be dirty or accessed, and changes of
what KVM shares otherwise.  What is only read is not an effect.  Page tables are named by what they
map, not by where they lie.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, cast

from difffuzz.engine.conform import MMU_LOCK
from difffuzz.facts.paging import PT_PAGE_SIZE_MASK
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK, SPTE_MMU_PRESENT_MASK
from difffuzz.kvm.kvm_host import KvmMmuPage
from difffuzz.machine.host import HostMM
from difffuzz.machine.spt import PhysMem
from difffuzz.program import Config
from difffuzz.sched import Task
from difffuzz.sched.choice import Strategy
from difffuzz.sched.core import STEP_LIMIT
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.task import HeldLock
from difffuzz.sides import KvmFactory
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.kvm_state import Kvm
from difffuzz.sides.machine import Machine

Effect = tuple[Hashable, ...]
"""What it is (spte, lock, request, reference, page, root, table, or the name of what changed),
the number of the task that did it, and the details."""

QUIET = frozenset({"waiters", "mode"})
"""Touched by waiting and by entering the guest: seen in what follows from it."""


class ModelledKvm(Kvm, Protocol):
    """struct kvm of the model, with what oracles have no use for."""

    mmu_invalidate_seq: int
    mmu_invalidate_in_progress: int
    mmu_invalidate_range_start: int
    """hva; of the invalidations in progress the first byte, and the byte behind the last."""
    mmu_invalidate_range_end: int


class EffectScheduler(Interleaver):
    """Writes effects down; a strategy is asked before each, and after stores, and nowhere else.

    Two versions of a function that have the same effects pass the same places in the same order,
    whatever they read in between, so that one schedule means the same to both.
    """

    __slots__ = ("_asked", "effects", "kvm", "mem")

    def __init__(self, strategy: Strategy, step_limit: int = STEP_LIMIT) -> None:
        super().__init__(strategy, step_limit)
        self.effects: list[Effect] = []
        self.mem: RecordingMem | None = None
        self.kvm: ModelledKvm | None = None
        self._asked = -1

    def point(self, what: Hashable = None, write: bool = True) -> None:
        """Another task may run here; then the current one changes `what`."""
        super().point(what, write)
        if write and type(what) is tuple:
            self._changes(what)

    def touch(self, what: Hashable, write: bool = True) -> None:
        """The current task changes `what`."""
        if write:
            self._changes(what if type(what) is tuple else (what,))

    def decide(self, what: Hashable, write: bool) -> None:
        """Reads are passed by."""
        if self.budget < 0 or what == MMU_LOCK or (write and what is not None):
            super().decide(what, write)

    def acquired(self, lock: HeldLock) -> None:
        """A lock was taken."""
        super().acquired(lock)
        self.add("lock", lock.name, lock.writer is self.current)

    def released(self, lock: HeldLock, exclusive: bool) -> None:
        """A lock was released."""
        self.add("unlock", lock.name, exclusive)

    def add(self, what: str, *details: Hashable) -> None:
        """One more effect of the current task."""
        self._settle()
        self.effects.append((what, self.current.number, *details))

    def take(self) -> list[Effect]:
        """The effects since the last call."""
        self._settle()
        found, self.effects = self.effects, []
        return found

    def under(self) -> tuple[str, bool]:
        """How the current task holds mmu_lock (w, r or nothing), and whether it is in an RCU
        section."""
        task: Task = self.current
        mode = ""
        for lock in task.held:
            if lock.name == MMU_LOCK:
                mode = "w" if lock.writer is task else "r"
        return mode, task.rcu_depth > 0

    def _changes(self, what: tuple[Hashable, ...]) -> None:
        name, *rest = what
        if name in QUIET or self.mem is None:
            return
        if name == "requests":
            (vcpu,) = rest
            assert isinstance(vcpu, int)
            self.add("request", vcpu)
            self._asked = vcpu
        elif name == "root":
            (pa,) = rest
            assert isinstance(pa, int)
            page = self.mem.pages.get(pa >> 12)
            sp = None if page is None else page.sp
            count = -1 if sp is None else sp.tdp_mmu_root_count
            self.add("root", sp is not None and sp.role.smm, count, *self.under())
        elif name != "table":  # a store says more
            self.add(str(name), *rest, *self.under())

    def _settle(self) -> None:
        """A request, and the range that it is about, is known once it was made."""
        if self._asked >= 0 and self.kvm is not None:
            vcpu = self.kvm.vcpus[self._asked]
            self._asked = -1
            self.effects[-1] += (vcpu.requests, tuple(vcpu.tlb_ranges))


class RecordingMem(PhysMem[KvmMmuPage]):
    """Page tables whose changes are effects."""

    __slots__ = ()

    def store(self, ptr: int, value: int) -> None:
        """Every store, the atomic ones too."""
        page = self.pages.get(ptr >> 12)
        sched = self.sched
        assert isinstance(sched, EffectScheduler)
        if page is not None:
            index = ptr >> 3 & 511
            old = page.ent.get(index, page.absent)
            sp: KvmMmuPage | None = page.sp
            level = sp.role.level if sp is not None else 0
            new = self._named(value, level)
            sched.add("spte", _place(sp), index, self._named(old, level), new, *sched.under())
        super().store(ptr, value)
        # What follows may be reads only, which are no places to preempt.
        sched.point("stored")

    def free(self, pa: int) -> None:
        """A page table goes."""
        page = self.pages.get(pa >> 12)
        sched = self.sched
        assert isinstance(sched, EffectScheduler)
        sched.add("table", "freed", None if page is None else _place(page.sp))
        super().free(pa)

    def fill(self, pa: int, entries: dict[int, int]) -> None:
        """A table that is not linked yet is written as a whole."""
        sched = self.sched
        assert isinstance(sched, EffectScheduler)
        sched.add("table", "filled", len(entries), entries.get(0), entries.get(511))
        super().fill(pa, entries)

    def freeze_absent(self, pa: int, value: int, known: set[int]) -> bool:
        """What is absent in a table that was cut off is frozen."""
        frozen = super().freeze_absent(pa, value, known)
        sched = self.sched
        assert isinstance(sched, EffectScheduler)
        sched.add("table", "frozen", frozen, *sched.under())
        return frozen

    @staticmethod
    def _named(spte: int, level: int) -> int:
        """An SPTE without the address of the table that it points to."""
        if spte & SPTE_MMU_PRESENT_MASK and level != 1 and not spte & PT_PAGE_SIZE_MASK:
            return spte & ~SPTE_BASE_ADDR_MASK
        return spte


class RecordingHost(HostMM):
    """A host for which it is an effect what KVM does to its pages: references, dirty, accessed."""

    __slots__ = ()

    def get_user_page_fast_only(self, addr: int, write: bool) -> int:
        """A reference, if the page is there."""
        pfn = super().get_user_page_fast_only(addr, write)
        self._got(pfn, addr, write)
        return pfn

    def get_user_pages_unlocked(self, addr: int, write: bool, nowait: bool) -> tuple[int, int]:
        """A reference, once the page is there."""
        found = super().get_user_pages_unlocked(addr, write, nowait)
        self._got(found[1] if found[0] == 1 else found[0] - 1, addr, write)
        return found

    def put_page(self, pfn: int) -> None:
        """A reference goes."""
        self._effect("reference", "put", pfn)
        super().put_page(pfn)

    def mark_page_accessed(self, pfn: int) -> None:
        """The page was accessed."""
        self._effect("page", "accessed", pfn)
        super().mark_page_accessed(pfn)

    def set_page_dirty(self, pfn: int) -> None:
        """The page was written."""
        self._effect("page", "dirty", pfn)
        super().set_page_dirty(pfn)

    def _got(self, pfn: int, addr: int, write: bool) -> None:
        self._effect("reference", "got", pfn, addr, write)

    def _effect(self, what: str, *details: Hashable) -> None:
        sched = self.sched
        assert isinstance(sched, EffectScheduler)
        sched.add(what, *details, *sched.under())


RECORDING = Machine(RecordingHost, RecordingMem)


def start(factory: KvmFactory, config: Config, sched: EffectScheduler) -> KvmSide:
    """A side whose effects `sched` writes down from the program's first operation on."""
    side = factory.start(config, sched, RECORDING)
    assert isinstance(side.kvm.mem, RecordingMem)
    sched.mem, sched.kvm = side.kvm.mem, cast(ModelledKvm, side.kvm)
    sched.take()
    return side


def _place(sp: KvmMmuPage | None) -> tuple[int, int, int] | None:
    """Address space, level and first gfn of a shadow page; None for pae_root."""
    return None if sp is None else (int(sp.role.smm), sp.role.level, sp.gfn)
