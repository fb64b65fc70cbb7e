# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel's code asks of the host and of the scheduler: the answers to each Request."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Hashable
from functools import partial

from difffuzz.facts.errno import EFAULT
from difffuzz.facts.paging import PT_PRESENT_MASK, PT_WRITABLE_MASK
from difffuzz.machine import user_access
from difffuzz.machine.host import HostMM
from difffuzz.machine.pte import pte_pfn, pte_write
from difffuzz.native.abi.calls import LockEvent, Point, Request, Wait
from difffuzz.native.abi.limits import STORES
from difffuzz.native.library import Library
from difffuzz.native.vcpu import NativeVcpu
from difffuzz.sched import KernelSplat, RwLock

WAITS = {
    Wait.READ: "mmu_lock",
    Wait.WRITE: "mmu_lock",
    Wait.SPIN: "a spinlock",
    Wait.MUTEX: "a mutex",
    Wait.SRCU: "SRCU readers",
    Wait.RCU: "RCU readers",
    Wait.IPI: "a vCPU to exit",
    Wait.WAKE: "an invalidation to end",
}
"""What a task waits for."""
ADDRESS = (1 << 64) - 1
"""Longs have a sign, addresses and words have none."""
TAKEN = (LockEvent.LOCKED_READ, LockEvent.LOCKED_WRITE)


def x86_pte(pte: int) -> int:
    """An entry of the host's page table as the CPU has it: present, writable, pfn."""
    if not pte:
        return 0
    return pte_pfn(pte) << 12 | PT_PRESENT_MASK | (PT_WRITABLE_MASK if pte_write(pte) else 0)


class Host:
    """The answers for one VM."""

    def __init__(
        self,
        library: Library,
        mm: HostMM,
        mmu_lock: RwLock,
        vcpus: list[NativeVcpu],
        logging: list[bool],
    ) -> None:
        self._library = library
        self._ready = library.ready
        self._mm = mm
        self._sched = mm.sched
        self._mmu_lock = mmu_lock
        self._vcpus = vcpus
        self._logging = logging
        answers: dict[Request, Callable[[int, int, int], int]] = {
            Request.POINT: self.point,
            Request.WAIT: self.wait,
            Request.PARK: self.park,
            Request.GUP_FAST: self.gup_fast,
            Request.GUP: self.gup,
            Request.FOLLOW_PTE: self.follow_pte,
            Request.FIXUP_FAULT: self.fixup_fault,
            Request.VMA: self.vma,
            Request.MMAP_LOCK: self.mmap_lock,
            Request.POISONED: self.poisoned,
            Request.PUT_PAGE: self.put_page,
            Request.DIRTY_PAGE: self.dirty_page,
            Request.PAGE_COUNT: self.page_count,
            Request.ACCESSED_PAGE: self.accessed_page,
            Request.SIGBUS: self.sigbus,
            Request.LOCKED: self.locked,
            Request.FLUSH: self.flush,
            Request.QUEUE_FLUSH: self.queue_flush,
            Request.FLUSH_RANGES: self.flush_ranges,
            Request.DIRTY_LOGGING: self.dirty_logging,
            Request.YIELD: self.yield_,
            Request.USER_LOAD: self.user_load,
            Request.USER_STORE: self.user_store,
            Request.USER_CMPXCHG: self.user_cmpxchg,
            Request.FLUSH_GVA: self.flush_gva,
            Request.FENCE: self.fence,
            Request.RELEASE: self.release,
        }
        self.table = tuple(answers[request] for request in Request)

    # Scheduler

    def point(self, at: int, kind: int, c: int) -> int:
        """A preemption point below the strategy's threshold; 1: the store behind it is delayed."""
        what = "mmu_lock" if at == self._library.mmu_lock() else at
        buffer = self._sched.current.buffer
        if buffer is None or kind == Point.LOAD or (kind == Point.LOCKED and at):
            self._sched.decide(what, bool(kind))
            return 0
        if kind == Point.STORE:
            if len(buffer.stores) >= STORES:
                buffer.drain()
            if self._library.may_wait(at):
                return int(self._delays(what))
        buffer.plain = True
        try:
            self._sched.decide(what, True)
        finally:
            buffer.plain = False
        return 0

    def _delays(self, what: Hashable) -> bool:
        """A plain store, which the library keeps if it is delayed."""
        if not self._sched.decide_store(what):
            return False
        self._sched.delay(what, None, self._commit())
        return True

    def _commit(self) -> Callable[[], None]:
        return partial(self._library.commit, self._sched.current.number)

    def fence(self, point: int, b: int, c: int) -> int:
        """A full barrier or a locked instruction; without a point nobody else may run before."""
        buffer = self._sched.current.buffer
        assert buffer is not None
        if point:
            self._sched.fence()
        else:
            buffer.drain()
        return 0

    def release(self, at: int, b: int, c: int) -> int:
        """A lock is released by a plain store.  1: behind those that wait."""
        buffer = self._sched.current.buffer
        assert buffer is not None
        if len(buffer.stores) >= STORES:
            buffer.drain()
            return 0
        buffer.add("mmu_lock" if at == self._library.mmu_lock() else at, None, self._commit())
        return 1

    def wait(self, kind: int, on: int, c: int) -> int:
        """The task sleeps until the kernel's side says that it is ready."""
        self._sched.wait(WAITS[Wait(kind)], lambda: bool(self._ready(kind, on)))
        return 0

    def park(self, a: int, b: int, c: int) -> int:
        """The fault has its pfn and is about to take mmu_lock."""
        self._sched.park_point()
        return 0

    def yield_(self, a: int, b: int, c: int) -> int:
        """Lets others run; 1 if any did."""
        switches = self._sched.switches
        self._sched.relax()
        return int(self._sched.switches != switches)

    def locked(self, event: int, b: int, c: int) -> int:
        """mmu_lock changes hands."""
        sched, lock = self._sched, self._mmu_lock
        lock.writer = sched.current if event == LockEvent.LOCKED_WRITE else None
        if event in TAKEN:
            sched.acquired(lock)
        else:
            sched.released(lock, event == LockEvent.UNLOCKED_WRITE)
        return 0

    # Host memory

    def gup_fast(self, hva: int, write: int, c: int) -> int:
        """get_user_page_fast_only()"""
        return self._mm.get_user_page_fast_only(hva, bool(write))

    def gup(self, hva: int, write: int, nowait: int) -> int:
        """get_user_pages_unlocked()"""
        npages, pfn = self._mm.get_user_pages_unlocked(hva, bool(write), bool(nowait))
        return pfn if npages == 1 else npages

    def follow_pte(self, hva: int, b: int, c: int) -> int:
        """follow_pte()"""
        return x86_pte(self._mm.follow_pte(hva))

    def fixup_fault(self, hva: int, write: int, c: int) -> int:
        """fixup_user_fault()"""
        return self._mm.fixup_user_fault(hva, bool(write))

    def vma(self, hva: int, b: int, c: int) -> int:
        """vma_lookup()"""
        vma = self._mm.vma_lookup(hva)
        if vma is None:
            return -1
        control = self._library.control
        control.vma_start, control.vma_end = vma.start, vma.end
        return vma.flags

    def mmap_lock(self, release: int, b: int, c: int) -> int:
        """mmap_read_lock(), mmap_read_unlock()"""
        if release:
            self._mm.mmap_lock.up_read()
        else:
            self._mm.mmap_lock.down_read()
        return 0

    def poisoned(self, hva: int, b: int, c: int) -> int:
        """check_user_page_hwpoison()"""
        return int(self._mm.check_user_page_hwpoison(hva))

    def put_page(self, pfn: int, b: int, c: int) -> int:
        """put_page()"""
        self._mm.put_page(pfn)
        return 0

    def dirty_page(self, pfn: int, b: int, c: int) -> int:
        """SetPageDirty()"""
        self._still_there(pfn, "kvm_set_pfn_dirty")
        self._mm.set_page_dirty(pfn)
        return 0

    def page_count(self, pfn: int, b: int, c: int) -> int:
        """page_count(), as far as KVM cares: is there any reference?"""
        return int(not self._mm.frames.is_free(pfn))

    def accessed_page(self, pfn: int, b: int, c: int) -> int:
        """mark_page_accessed()"""
        self._still_there(pfn, "kvm_set_pfn_accessed")
        self._mm.mark_page_accessed(pfn)
        return 0

    def _still_there(self, pfn: int, where: str) -> None:
        if self._mm.frames.is_free(pfn):
            raise KernelSplat("uaf", where, "the host has taken the page back")

    # Guest memory by hva

    def user_load(self, hva: int, atomic: int, c: int) -> int:
        """__get_user(), __copy_from_user(): 0 and the word, or -EFAULT."""
        word = user_access.user_load(self._mm, hva, bool(atomic))
        return self._loaded(word)

    def user_store(self, hva: int, word: int, c: int) -> int:
        """__copy_to_user()"""
        return 0 if user_access.user_store(self._mm, hva, word & ADDRESS) else -EFAULT

    def user_cmpxchg(self, hva: int, old: int, new: int) -> int:
        """__try_cmpxchg_user(): 0, or 1 and the word that is there, or -EFAULT."""
        word = user_access.user_cmpxchg(self._mm, hva, old & ADDRESS, new & ADDRESS)
        r = self._loaded(word)
        return r or int(word != old & ADDRESS)

    def _loaded(self, word: int | None) -> int:
        if word is None:
            return -EFAULT
        self._library.control.loaded = ctypes.c_long(word).value
        return 0

    # CPUs

    def sigbus(self, hva: int, b: int, c: int) -> int:
        """The vCPU thread is told of a memory failure."""
        self._vcpus[self._sched.current.number].sigbus = True
        return 0

    def flush(self, vcpu: int, current_only: int, c: int) -> int:
        """The CPU drops its TLB; or what is of L1 alone, or of L2 if that runs."""
        one = self._vcpus[vcpu]
        if one.l2 is not None and (one.guest_mode or not current_only):
            one.l2.tlb.flush_all()
            if current_only:
                return 0
        one.cpu.tlb.flush_all()
        if one.gva is not None:
            one.gva.tlb.flush_all()
        one.tlb_ranges.clear()
        return 0

    def flush_gva(self, vcpu: int, gva: int, c: int) -> int:
        """The CPU drops what it caches of an address."""
        cpu = self._vcpus[vcpu].gva
        if cpu is not None:
            cpu.tlb.flush(gva & ADDRESS)
        return 0

    def queue_flush(self, gfn: int, pages: int, c: int) -> int:
        """Every CPU is to drop what it caches of a range."""
        for vcpu in self._vcpus:
            vcpu.tlb_ranges.append((gfn, pages))
        return 0

    def flush_ranges(self, vcpu: int, b: int, c: int) -> int:
        """The CPU drops the ranges queued for it."""
        one = self._vcpus[vcpu]
        for gfn, pages in one.tlb_ranges:
            one.cpu.tlb.flush_range(gfn, pages)
        one.tlb_ranges.clear()
        return 0

    def dirty_logging(self, vcpu: int, on: int, c: int) -> int:
        """The CPU logs dirty pages, or no longer."""
        self._logging[vcpu] = bool(on)
        if vcpu < len(self._vcpus):
            self._vcpus[vcpu].pml_enabled = bool(on)
        return 0
