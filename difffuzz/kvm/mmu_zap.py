# SPDX-License-Identifier: GPL-2.0-only
"""mmu.c: zapping: memslot deletion, gfn ranges, MMIO generations, the VM's end, NX recovery."""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn

from .kvm_host import (
    KVM_ADDRESS_SPACE_NUM,
    KVM_MAX_HUGEPAGE_LEVEL,
    KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS,
    KVM_REQ_MMU_FREE_OBSOLETE_ROOTS,
    PG_LEVEL_4K,
    Kvm,
    KvmMmuPage,
)
from .kvm_main import kvm_flush_remote_tlbs_with_address, kvm_make_all_cpus_request
from .memslots import (
    __kvm_memslots,
    kvm_for_each_memslot_in_gfn_range,
    kvm_memslots_for_spte_role,
    kvm_slot_dirty_track_enabled,
    search_memslots,
)
from .mmu_internal import is_obsolete_sp, unaccount_nx_huge_page
from .mmu_notifier import kvm_mmu_invalidate_begin, kvm_mmu_invalidate_end
from .mmu_page import (
    __kvm_mmu_prepare_zap_page,
    kvm_mmu_commit_zap_page,
    kvm_mmu_prepare_zap_page,
    kvm_mmu_remote_flush_or_zap,
)
from .mmu_slot import __kvm_zap_rmap, kvm_memslots_have_rmaps, slot_handle_level_range
from .spte import MMIO_SPTE_GEN_MASK
from .tdp_mmu import (
    kvm_tdp_mmu_invalidate_all_roots,
    kvm_tdp_mmu_zap_all,
    kvm_tdp_mmu_zap_invalidated_roots,
    kvm_tdp_mmu_zap_leafs,
    kvm_tdp_mmu_zap_sp,
)

BATCH_ZAP_PAGES = 10
ULONG_MAX = (1 << 64) - 1


def kvm_zap_obsolete_pages(kvm: Kvm) -> None:
    """Zaps the pages of the generation before, oldest first, with breaks."""
    batch = 0
    restart = True
    while restart:
        restart = False
        for sp in list(kvm.active_mmu_pages):
            # The rest is of the new generation.
            if not is_obsolete_sp(kvm, sp):
                break
            if sp.role.invalid:
                kvm.warn("kvm_zap_obsolete_pages", "an invalid page on the active list")
                continue
            # The obsolete pages cannot be used for faults, so a break needs no flush.
            if batch >= BATCH_ZAP_PAGES and kvm.mmu_lock.cond_resched_write():
                batch = 0
                restart = True
                break
            unstable, nr_zapped = __kvm_mmu_prepare_zap_page(kvm, sp, kvm.zapped_obsolete_pages)
            batch += nr_zapped
            if unstable:
                restart = True
                break
    # Flushes, even for pages that only lockless walkers may still see.
    kvm_mmu_commit_zap_page(kvm, kvm.zapped_obsolete_pages)


def kvm_mmu_zap_all_fast(kvm: Kvm) -> None:
    """Makes every root obsolete, so that vCPUs go on with new ones, and zaps the old."""
    kvm.slots_lock.assert_held("kvm_mmu_zap_all_fast")
    kvm.mmu_lock.write_lock()
    kvm.mmu_valid_gen = 0 if kvm.mmu_valid_gen else 1
    # Before the request, so that a vCPU that serves it finds its root invalid.
    if kvm.tdp_mmu_enabled:
        kvm_tdp_mmu_invalidate_all_roots(kvm)
    kvm_make_all_cpus_request(kvm, KVM_REQ_MMU_FREE_OBSOLETE_ROOTS)
    kvm_zap_obsolete_pages(kvm)
    kvm.mmu_lock.write_unlock()
    # With mmu_lock for read: faults go on meanwhile.
    if kvm.tdp_mmu_enabled:
        kvm_tdp_mmu_zap_invalidated_roots(kvm)


def kvm_rmap_zap_gfn_range(kvm: Kvm, gfn_start: Gfn, gfn_end: Gfn) -> bool:
    """Unmaps gfns in the legacy MMU, in every address space; True if a flush is due."""
    flush = False
    if not kvm_memslots_have_rmaps(kvm):
        return flush
    for as_id in range(KVM_ADDRESS_SPACE_NUM):
        slots = __kvm_memslots(kvm, as_id)
        for slot in kvm_for_each_memslot_in_gfn_range(slots, gfn_start, gfn_end):
            start = max(gfn_start, slot.base_gfn)
            end = min(gfn_end, slot.base_gfn + slot.npages)
            # Mended (own-flush-lost-across-memslots): what a walk flushes when it yields is its own
            # memslot; the kernel hands it the flush that another one needs.
            flush |= slot_handle_level_range(
                kvm,
                slot,
                __kvm_zap_rmap,
                PG_LEVEL_4K,
                KVM_MAX_HUGEPAGE_LEVEL,
                start,
                end - 1,
                True,
                False,
            )
    return flush


def kvm_zap_gfn_range(kvm: Kvm, gfn_start: Gfn, gfn_end: Gfn) -> None:
    """Unmaps the gfns [gfn_start, gfn_end), with every fault held off meanwhile."""
    if gfn_end <= gfn_start:
        kvm.warn("kvm_zap_gfn_range", "empty range")
        return
    kvm.mmu_lock.write_lock()
    # The range is of gfns, faults are checked by hva: block them all.
    kvm_mmu_invalidate_begin(kvm, 0, ULONG_MAX)
    flush = kvm_rmap_zap_gfn_range(kvm, gfn_start, gfn_end)
    if kvm.tdp_mmu_enabled:
        flush = kvm_tdp_mmu_zap_leafs(kvm, gfn_start, gfn_end, flush)
    if flush:
        kvm_flush_remote_tlbs_with_address(kvm, gfn_start, gfn_end - gfn_start)
    kvm_mmu_invalidate_end(kvm, 0, ULONG_MAX)
    kvm.mmu_lock.write_unlock()


def kvm_mmu_zap_all(kvm: Kvm) -> None:
    """Drops every mapping: the address space ends."""
    invalid_list: list[KvmMmuPage] = []
    kvm.mmu_lock.write_lock()
    restart = True
    while restart:
        restart = False
        for sp in reversed(list(kvm.active_mmu_pages)):
            if sp.role.invalid:
                kvm.warn("kvm_mmu_zap_all", "an invalid page on the active list")
                continue
            if __kvm_mmu_prepare_zap_page(kvm, sp, invalid_list)[0]:
                restart = True
                break
            if kvm.mmu_lock.cond_resched_write():
                restart = True
                break
    kvm_mmu_commit_zap_page(kvm, invalid_list)
    if kvm.tdp_mmu_enabled:
        kvm_tdp_mmu_zap_all(kvm)
    kvm.mmu_lock.write_unlock()


def kvm_mmu_invalidate_mmio_sptes(kvm: Kvm, gen: int) -> None:
    """The memslot generation of MMIO SPTEs wrapped: drops them all, with everything else."""
    if gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS:
        kvm.warn("kvm_mmu_invalidate_mmio_sptes", "an update is in progress")
    gen &= MMIO_SPTE_GEN_MASK
    # The low bit is the address space, of which either may wrap.
    gen &= ~(KVM_ADDRESS_SPACE_NUM - 1)
    if gen == 0:
        kvm_mmu_zap_all_fast(kvm)


def kvm_recover_nx_huge_pages(kvm: Kvm) -> None:
    """The recovery worker: zaps some of the tables that the NX mitigation made, for another try."""
    invalid_list: list[KvmMmuPage] = []
    flush = False
    # Read before the lock is taken: what faults add until then waits for the next pass.
    kvm.sched.touch("nx_lpage_splits", False)
    nx_lpage_splits = kvm.stat.nx_lpage_splits
    rcu_idx = kvm.srcu.read_lock()
    kvm.mmu_lock.write_lock()
    # Zapping TDP pages needs RCU protection even here: sp may be freed by nobody else meanwhile.
    kvm.rcu.read_lock()
    ratio = kvm.nx_huge_pages_recovery_ratio
    to_zap = -(-nx_lpage_splits // ratio) if ratio else 0
    while to_zap:
        if not kvm.possible_nx_huge_pages:
            break
        sp = next(iter(kvm.possible_nx_huge_pages))
        if not sp.nx_huge_page_disallowed:
            kvm.warn("kvm_recover_nx_huge_pages", "a page that disallows nothing")
        slot = None
        # From 6.2: what a slot maps that logs dirty pages is left alone, since it is 4K anyway.
        # From 6.5 (817fa998362d): the slot is looked for in the page's own address space.
        if kvm.nr_memslots_dirty_logging:
            slot = search_memslots(kvm_memslots_for_spte_role(kvm, sp.role), sp.gfn)
            if slot is None:
                kvm.warn("kvm_recover_nx_huge_pages", "no slot holds the page")
        if slot is not None and kvm_slot_dirty_track_enabled(slot):
            unaccount_nx_huge_page(kvm, sp)
        elif sp.tdp_mmu_page:
            flush |= kvm_tdp_mmu_zap_sp(kvm, sp)
        else:
            kvm_mmu_prepare_zap_page(kvm, sp, invalid_list)
        if sp.nx_huge_page_disallowed:
            kvm.warn("kvm_recover_nx_huge_pages", "the page was not taken off the list")
            break
        if kvm.sched.need_resched() or kvm.mmu_lock.is_contended():
            kvm_mmu_remote_flush_or_zap(kvm, invalid_list, flush)
            kvm.rcu.read_unlock()
            kvm.mmu_lock.cond_resched_write()
            flush = False
            kvm.rcu.read_lock()
        to_zap -= 1
    kvm_mmu_remote_flush_or_zap(kvm, invalid_list, flush)
    kvm.rcu.read_unlock()
    kvm.mmu_lock.write_unlock()
    kvm.srcu.read_unlock(rcu_idx)
