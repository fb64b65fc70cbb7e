# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c: mmu notifiers, from hva ranges to the gfn ranges of each memslot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from difffuzz.facts.addresses import Gfn, Hva
from difffuzz.facts.paging import PAGE_SIZE
from difffuzz.sched import KernelSplat

from .kvm_host import KVM_ADDRESS_SPACE_NUM, KVM_MEMSLOT_INVALID, Kvm, KvmMemorySlot
from .kvm_main import kvm_flush_remote_tlbs
from .memslots import kvm_for_each_memslot_in_hva_range


class KvmGfnRange:
    """struct kvm_gfn_range: gfns [start, end) of a slot, and the host's new pte for change_pte."""

    __slots__ = ("end", "may_block", "pte", "slot", "start")

    def __init__(
        self, slot: KvmMemorySlot, start: int, end: int, pte: int, may_block: bool
    ) -> None:
        self.slot = slot
        self.start = start
        self.end = end
        self.pte = pte
        self.may_block = may_block


class MmuHandlers(Protocol):
    """What the MMU does to a gfn range (mmu.c)."""

    def kvm_unmap_gfn_range(self, kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
        """Unmaps a range; True if a flush is due."""

    def kvm_set_spte_gfn(self, kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
        """Maps another page; True if a flush is due."""

    def kvm_age_gfn(self, kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
        """Clears the accessed state; True if it was set."""

    def kvm_test_age_gfn(self, kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
        """True if the range was accessed."""

    def kvm_mmu_zap_all(self, kvm: Kvm) -> None:
        """Drops every mapping of the VM."""


HvaHandler = Callable[[Kvm, KvmGfnRange], bool]
OnLock = Callable[[Kvm, int, int], None]


def kvm_handle_hva_range(
    kvm: Kvm,
    start: int,
    end: int,
    *,
    handler: HvaHandler | None = None,
    pte: int = 0,
    on_lock: OnLock | None = None,
    flush_on_ret: bool = False,
    may_block: bool = False,
) -> bool:
    """__kvm_handle_hva_range(): calls the handler for every slot that the hva range overlaps.

    mmu_lock is taken only if there is such a slot, and `on_lock` runs once, right after it.
    """
    ret = False
    locked = False
    if end <= start:
        kvm.warn("__kvm_handle_hva_range", "empty range")
        return False
    idx = kvm.srcu.read_lock()
    for as_id in range(KVM_ADDRESS_SPACE_NUM):
        for slot in kvm_for_each_memslot_in_hva_range(kvm.memslots[as_id], start, end):
            if not locked:
                locked = True
                kvm.mmu_lock.write_lock()
                if on_lock is not None:
                    on_lock(kvm, start, end)
            if handler is None:
                break
            hva_start = max(start, slot.userspace_addr)
            hva_end = min(end, slot.userspace_addr + (slot.npages << 12))
            gfn_range = KvmGfnRange(
                slot,
                hva_to_gfn_memslot(hva_start, slot),
                hva_to_gfn_memslot(hva_end + PAGE_SIZE - 1, slot),
                pte,
                may_block,
            )
            ret |= handler(kvm, gfn_range)
        if locked and handler is None:
            break
    if flush_on_ret and ret:
        kvm_flush_remote_tlbs(kvm)
    # Left out: `on_unlock`, which writes caches back for encrypted guests.
    if locked:
        kvm.mmu_lock.write_unlock()
    kvm.srcu.read_unlock(idx)
    return ret


def hva_to_gfn_memslot(hva: Hva, slot: KvmMemorySlot) -> Gfn:
    """The gfn that the slot maps at `hva`."""
    return slot.base_gfn + ((hva - slot.userspace_addr) >> 12)


def kvm_mmu_invalidate_begin(kvm: Kvm, start: int, end: int) -> None:
    """From now on faults of the hvas [start, end) must not map anything."""
    kvm.mmu_lock.assert_held_write("kvm_mmu_invalidate_begin")
    kvm.mmu_invalidate_in_progress += 1
    if kvm.mmu_invalidate_in_progress == 1:
        kvm.mmu_invalidate_range_start = start
        kvm.mmu_invalidate_range_end = end
    else:
        # Of several at once only the hull is known: a fault may retry in vain, but never map.
        kvm.mmu_invalidate_range_start = min(kvm.mmu_invalidate_range_start, start)
        kvm.mmu_invalidate_range_end = max(kvm.mmu_invalidate_range_end, end)


def kvm_mmu_invalidate_end(kvm: Kvm, start: int, end: int) -> None:
    """Faults that began before this are stale; new ones may map again."""
    kvm.mmu_lock.assert_held_write("kvm_mmu_invalidate_end")
    kvm.sched.touch("mmu_invalidate_seq")
    kvm.mmu_invalidate_seq += 1
    kvm.mmu_invalidate_in_progress -= 1


def mmu_invalidate_retry_hva(kvm: Kvm, mmu_seq: int, hva: Hva) -> bool:
    """True if an invalidation of `hva` is in progress, or any ended since `mmu_seq` was read."""
    kvm.mmu_lock.assert_held("mmu_invalidate_retry_hva")
    if (
        kvm.mmu_invalidate_in_progress
        and kvm.mmu_invalidate_range_start <= hva < kvm.mmu_invalidate_range_end
    ):
        return True
    return kvm.mmu_invalidate_seq != mmu_seq


class KvmMmuNotifier:
    """kvm_mmu_notifier_ops: what the host mm calls."""

    __slots__ = ("kvm", "mmu")

    def __init__(self, kvm: Kvm, mmu: MmuHandlers) -> None:
        self.kvm = kvm
        self.mmu = mmu

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        """The host is about to change the hvas [start, end)."""
        kvm = self.kvm
        # Memslots must not change between start and end, see kvm_swap_active_memslots().
        kvm.mn_invalidate_lock.lock()
        kvm.mn_active_invalidate_count += 1
        kvm.mn_invalidate_lock.unlock()
        # Left out: caches of pfns (gfn_to_pfn_cache_invalidate_start()); nothing here uses one.
        kvm_handle_hva_range(
            kvm,
            start,
            end,
            handler=self.mmu.kvm_unmap_gfn_range,
            on_lock=kvm_mmu_invalidate_begin,
            flush_on_ret=True,
            may_block=blockable,
        )

    def invalidate_range_end(self, start: int, end: int) -> None:
        """The host has changed the hvas [start, end)."""
        kvm = self.kvm
        kvm_handle_hva_range(kvm, start, end, on_lock=kvm_mmu_invalidate_end, may_block=True)
        kvm.mn_invalidate_lock.lock()
        kvm.mn_active_invalidate_count -= 1
        kvm.mn_invalidate_lock.unlock()
        if kvm.mmu_invalidate_in_progress < 0:
            raise KernelSplat("warn", "invalidate_range_end", "more ends than starts")

    def change_pte(self, addr: int, pte: int) -> None:
        """The host puts `pte` at `addr`, between start and end."""
        kvm = self.kvm
        if not kvm.mn_active_invalidate_count:
            kvm.warn("kvm_mmu_notifier_change_pte", "outside start and end")
        # start found no slot there: there is nothing to do.
        if not kvm.mmu_invalidate_in_progress:
            return
        kvm_handle_hva_range(
            kvm, addr, addr + 1, handler=self._change_spte_gfn, pte=pte, flush_on_ret=True
        )

    def _change_spte_gfn(self, kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
        """kvm_change_spte_gfn()."""
        if gfn_range.slot.flags & KVM_MEMSLOT_INVALID:
            return False
        return self.mmu.kvm_set_spte_gfn(kvm, gfn_range)

    def clear_flush_young(self, start: int, end: int) -> int:
        """Clears the accessed state of the hvas and flushes; 1 if any was accessed."""
        return int(
            kvm_handle_hva_range(
                self.kvm, start, end, handler=self.mmu.kvm_age_gfn, flush_on_ret=True
            )
        )

    def clear_young(self, start: int, end: int) -> int:
        """Clears the accessed state of the hvas without a flush; 1 if any was accessed."""
        return int(kvm_handle_hva_range(self.kvm, start, end, handler=self.mmu.kvm_age_gfn))

    def test_young(self, addr: int) -> int:
        """1 if the page at `addr` was accessed."""
        return int(
            kvm_handle_hva_range(self.kvm, addr, addr + 1, handler=self.mmu.kvm_test_age_gfn)
        )

    def release(self) -> None:
        """The address space ends: drops every mapping."""
        kvm = self.kvm
        idx = kvm.srcu.read_lock()
        self.mmu.kvm_mmu_zap_all(kvm)
        kvm.srcu.read_unlock(idx)
