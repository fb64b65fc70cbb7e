# SPDX-License-Identifier: GPL-2.0-only
"""tdp_mmu.c: what mmu notifiers, dirty logging and splitting do to ranges of gfns."""

from __future__ import annotations

from collections.abc import Callable

from difffuzz.facts.addresses import Gfn, Spte
from difffuzz.facts.paging import PT_WRITABLE_MASK
from difffuzz.machine.host import pte_pfn, pte_write

from .kvm_host import (
    BITS_PER_LONG,
    KVM_MAX_HUGEPAGE_LEVEL,
    PG_LEVEL_2M,
    PG_LEVEL_4K,
    PG_LEVEL_NUM,
    Kvm,
    KvmMemorySlot,
    KvmMmuPage,
)
from .kvm_main import kvm_set_pfn_dirty
from .mmu_lpage import kvm_mmu_max_mapping_level
from .mmu_notifier import KvmGfnRange
from .spte import (
    is_accessed_spte,
    is_large_pte,
    is_last_spte,
    is_shadow_present_pte,
    is_writable_pte,
    kvm_mmu_changed_pte_notifier_make_spte,
    mark_spte_for_access_track,
    spte_ad_enabled,
    spte_ad_need_write_protect,
    spte_to_pfn,
)
from .tdp_iter import TdpIter, for_each_leaf_pte, for_each_tdp_pte_min_level
from .tdp_mmu import (
    _tdp_mmu_set_spte,
    for_each_tdp_mmu_root,
    for_each_tdp_mmu_root_yield_safe,
    kvm_lockdep_assert_mmu_lock_held,
    kvm_tdp_mmu_put_root,
    tdp_mmu_free_sp,
    tdp_mmu_init_child_sp,
    tdp_mmu_iter_cond_resched,
    tdp_mmu_set_spte,
    tdp_mmu_set_spte_atomic,
    tdp_mmu_split_huge_page,
    tdp_mmu_zap_leafs,
    tdp_mmu_zap_spte_atomic,
)

TdpHandler = Callable[[Kvm, TdpIter, KvmGfnRange], bool]


def kvm_tdp_mmu_unmap_gfn_range(kvm: Kvm, gfn_range: KvmGfnRange, flush: bool) -> bool:
    """Clears the leaves of a range in every root of its address space, invalid ones too."""
    for root in for_each_tdp_mmu_root_yield_safe(kvm, False, as_id=gfn_range.slot.as_id):
        flush = tdp_mmu_zap_leafs(
            kvm, root, gfn_range.start, gfn_range.end, gfn_range.may_block, flush
        )
    return flush


def kvm_tdp_mmu_handle_gfn(kvm: Kvm, gfn_range: KvmGfnRange, handler: TdpHandler) -> bool:
    """Calls the handler for the leaves of a range; True if one of the calls was True."""
    ret = False
    for root in for_each_tdp_mmu_root(kvm, gfn_range.slot.as_id):
        kvm.rcu.read_lock()
        for it in for_each_leaf_pte(kvm, root, gfn_range.start, gfn_range.end):
            ret |= handler(kvm, it, gfn_range)
        kvm.rcu.read_unlock()
    return ret


def age_gfn_range(kvm: Kvm, it: TdpIter, gfn_range: KvmGfnRange) -> bool:
    """Clears the accessed state of a leaf; True if it was accessed."""
    if not is_accessed_spte(kvm.masks, it.old_spte):
        return False
    new_spte = it.old_spte
    if spte_ad_enabled(new_spte):
        new_spte &= ~kvm.masks.shadow_accessed_mask
    else:
        # The dirty state is in the W bit, which is about to be saved away.
        if is_writable_pte(new_spte):
            kvm_set_pfn_dirty(kvm, spte_to_pfn(new_spte))
        new_spte = mark_spte_for_access_track(kvm, new_spte)
    _tdp_mmu_set_spte(kvm, it, new_spte, False, True)
    return True


def kvm_tdp_mmu_age_gfn_range(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
    """Clears the accessed state of a range; True if any of it was accessed."""
    return kvm_tdp_mmu_handle_gfn(kvm, gfn_range, age_gfn_range)


def test_age_gfn(kvm: Kvm, it: TdpIter, gfn_range: KvmGfnRange) -> bool:
    """True if the leaf was accessed."""
    return is_accessed_spte(kvm.masks, it.old_spte)


def kvm_tdp_mmu_test_age_gfn(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
    """True if any of the range was accessed."""
    return kvm_tdp_mmu_handle_gfn(kvm, gfn_range, test_age_gfn)


def set_spte_gfn(kvm: Kvm, it: TdpIter, gfn_range: KvmGfnRange) -> bool:
    """The host put another page at the gfn: maps it if it is read-only, else only unmaps."""
    if gfn_range.start + 1 != gfn_range.end:
        kvm.warn("set_spte_gfn", "more than one page")
    if it.level != PG_LEVEL_4K or not is_shadow_present_pte(it.old_spte):
        return False
    # Through zero, so that the pfn of a present leaf never changes.
    tdp_mmu_set_spte(kvm, it, 0)
    if not pte_write(gfn_range.pte):
        new_spte = kvm_mmu_changed_pte_notifier_make_spte(kvm, it.old_spte, pte_pfn(gfn_range.pte))
        tdp_mmu_set_spte(kvm, it, new_spte)
    return True


def kvm_tdp_mmu_set_spte_gfn(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
    """change_pte notifier; True if a flush is due."""
    return kvm_tdp_mmu_handle_gfn(kvm, gfn_range, set_spte_gfn)


def wrprot_gfn_range(kvm: Kvm, root: KvmMmuPage, start: int, end: int, min_level: int) -> bool:
    """Makes the leaves of a range read-only, down to `min_level`; True if any was writable."""
    spte_set = False
    kvm.rcu.read_lock()
    for it in for_each_tdp_pte_min_level(kvm, root, min_level, start, end):
        while True:
            if tdp_mmu_iter_cond_resched(kvm, it, False, True):
                break
            if (
                not is_shadow_present_pte(it.old_spte)
                or not is_last_spte(it.old_spte, it.level)
                or not it.old_spte & PT_WRITABLE_MASK
            ):
                break
            if tdp_mmu_set_spte_atomic(kvm, it, it.old_spte & ~PT_WRITABLE_MASK):
                continue
            spte_set = True
            break
    kvm.rcu.read_unlock()
    return spte_set


def kvm_tdp_mmu_wrprot_slot(kvm: Kvm, slot: KvmMemorySlot, min_level: int) -> bool:
    """Makes the leaves of a slot read-only, down to `min_level`; True if any was writable."""
    spte_set = False
    kvm.mmu_lock.assert_held_read("kvm_tdp_mmu_wrprot_slot")
    for root in for_each_tdp_mmu_root_yield_safe(kvm, True, True, slot.as_id):
        spte_set |= wrprot_gfn_range(
            kvm, root, slot.base_gfn, slot.base_gfn + slot.npages, min_level
        )
    return spte_set


def tdp_mmu_split_huge_pages_root(
    kvm: Kvm, root: KvmMmuPage, start: int, end: int, target_level: int, shared: bool
) -> int:
    """Splits the huge leaves of a range down to `target_level`; 0 or -ENOMEM."""
    # Left out: an allocation without sleeping that fails, for which the kernel drops mmu_lock.
    sp: KvmMmuPage | None = None
    kvm.rcu.read_lock()
    for it in for_each_tdp_pte_min_level(kvm, root, target_level + 1, start, end):
        while True:
            if tdp_mmu_iter_cond_resched(kvm, it, False, shared):
                break
            if not is_shadow_present_pte(it.old_spte) or not is_large_pte(it.old_spte):
                break
            if sp is None:
                sp = KvmMmuPage()
                sp.spt = kvm.mem.alloc(sp)
            tdp_mmu_init_child_sp(sp, it)
            if tdp_mmu_split_huge_page(kvm, it, sp, shared):
                continue
            sp = None
            break
    kvm.rcu.read_unlock()
    if sp is not None:
        tdp_mmu_free_sp(kvm, sp)
    return 0


def kvm_tdp_mmu_try_split_huge_pages(
    kvm: Kvm, slot: KvmMemorySlot, start: int, end: int, target_level: int, shared: bool
) -> None:
    """Splits the huge leaves of a range of a slot, in every valid root."""
    kvm_lockdep_assert_mmu_lock_held(kvm, shared)
    for root in for_each_tdp_mmu_root_yield_safe(kvm, shared, True, slot.as_id):
        r = tdp_mmu_split_huge_pages_root(kvm, root, start, end, target_level, shared)
        if r:
            kvm_tdp_mmu_put_root(kvm, root, shared)
            break


def dirty_cleared(kvm: Kvm, spte: Spte, wrprot: bool) -> Spte:
    """The SPTE made to catch the next write: W off, or the dirty bit off."""
    if wrprot or spte_ad_need_write_protect(spte):
        return spte & ~PT_WRITABLE_MASK
    return spte & ~kvm.masks.shadow_dirty_mask


def clear_dirty_gfn_range(kvm: Kvm, root: KvmMmuPage, start: int, end: int) -> bool:
    """Makes the next write to each page of a range seen; True if a flush is due."""
    spte_set = False
    kvm.rcu.read_lock()
    for it in for_each_leaf_pte(kvm, root, start, end):
        while True:
            if tdp_mmu_iter_cond_resched(kvm, it, False, True):
                break
            if not is_shadow_present_pte(it.old_spte):
                break
            new_spte = dirty_cleared(kvm, it.old_spte, False)
            if new_spte == it.old_spte:
                break
            if tdp_mmu_set_spte_atomic(kvm, it, new_spte):
                continue
            spte_set = True
            break
    kvm.rcu.read_unlock()
    return spte_set


def kvm_tdp_mmu_clear_dirty_slot(kvm: Kvm, slot: KvmMemorySlot) -> bool:
    """Makes the next write to each page of a slot seen; True if a flush is due."""
    spte_set = False
    kvm.mmu_lock.assert_held_read("kvm_tdp_mmu_clear_dirty_slot")
    for root in for_each_tdp_mmu_root_yield_safe(kvm, True, True, slot.as_id):
        spte_set |= clear_dirty_gfn_range(kvm, root, slot.base_gfn, slot.base_gfn + slot.npages)
    return spte_set


def clear_dirty_pt_masked(kvm: Kvm, root: KvmMmuPage, gfn: Gfn, mask: int, wrprot: bool) -> None:
    """clear_dirty_gfn_range() for the 4K pages whose bit is set in `mask`, from `gfn` on."""
    kvm.rcu.read_lock()
    first = gfn + (mask & -mask).bit_length() - 1
    for it in for_each_leaf_pte(kvm, root, first, gfn + BITS_PER_LONG):
        if not mask:
            break
        if it.level > PG_LEVEL_4K or not mask & 1 << (it.gfn - gfn):
            continue
        mask &= ~(1 << (it.gfn - gfn))
        new_spte = dirty_cleared(kvm, it.old_spte, wrprot)
        if new_spte != it.old_spte:
            _tdp_mmu_set_spte(kvm, it, new_spte, True, False)
    kvm.rcu.read_unlock()


def kvm_tdp_mmu_clear_dirty_pt_masked(
    kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, mask: int, wrprot: bool
) -> None:
    """clear_dirty_pt_masked() in every root of the slot's address space."""
    kvm.mmu_lock.assert_held_write("kvm_tdp_mmu_clear_dirty_pt_masked")
    for root in for_each_tdp_mmu_root(kvm, slot.as_id):
        clear_dirty_pt_masked(kvm, root, gfn, mask, wrprot)


def zap_collapsible_spte_range(kvm: Kvm, root: KvmMmuPage, slot: KvmMemorySlot) -> None:
    """Clears the page tables of a slot that a huge page could replace."""
    start = slot.base_gfn
    end = start + slot.npages
    kvm.rcu.read_lock()
    for it in for_each_tdp_pte_min_level(kvm, root, PG_LEVEL_2M, start, end):
        while True:
            if tdp_mmu_iter_cond_resched(kvm, it, False, True):
                break
            if it.level > KVM_MAX_HUGEPAGE_LEVEL or not is_shadow_present_pte(it.old_spte):
                break
            # A leaf here would have been zapped with its parent, if it could be larger.
            if is_last_spte(it.old_spte, it.level):
                break
            # A table that begins outside the slot cannot become a huge page.
            if it.gfn < start or it.gfn >= end:
                break
            if kvm_mmu_max_mapping_level(kvm, slot, it.gfn, PG_LEVEL_NUM) < it.level:
                break
            # Flushes too.
            if tdp_mmu_zap_spte_atomic(kvm, it):
                continue
            break
    kvm.rcu.read_unlock()


def kvm_tdp_mmu_zap_collapsible_sptes(kvm: Kvm, slot: KvmMemorySlot) -> None:
    """Lets huge pages come back after dirty logging."""
    kvm.mmu_lock.assert_held_read("kvm_tdp_mmu_zap_collapsible_sptes")
    for root in for_each_tdp_mmu_root_yield_safe(kvm, True, True, slot.as_id):
        zap_collapsible_spte_range(kvm, root, slot)


def write_protect_gfn(kvm: Kvm, root: KvmMmuPage, gfn: Gfn, min_level: int) -> bool:
    """Makes the leaf of a gfn read-only for good; True if a flush is due."""
    spte_set = False
    kvm.rcu.read_lock()
    for it in for_each_tdp_pte_min_level(kvm, root, min_level, gfn, gfn + 1):
        if not is_shadow_present_pte(it.old_spte) or not is_last_spte(it.old_spte, it.level):
            continue
        new_spte = it.old_spte & ~(PT_WRITABLE_MASK | kvm.masks.shadow_mmu_writable_mask)
        if new_spte == it.old_spte:
            break
        tdp_mmu_set_spte(kvm, it, new_spte)
        spte_set = True
    kvm.rcu.read_unlock()
    return spte_set


def kvm_tdp_mmu_write_protect_gfn(kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, min_level: int) -> bool:
    """write_protect_gfn() in every root of the slot's address space."""
    spte_set = False
    kvm.mmu_lock.assert_held_write("kvm_tdp_mmu_write_protect_gfn")
    for root in for_each_tdp_mmu_root(kvm, slot.as_id):
        spte_set |= write_protect_gfn(kvm, root, gfn, min_level)
    return spte_set
