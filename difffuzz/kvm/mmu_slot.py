# SPDX-License-Identifier: GPL-2.0-only
"""mmu.c: what mmu notifiers, dirty logging and memslot changes do to ranges of gfns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from difffuzz.facts.addresses import Gfn
from difffuzz.machine.host import pte_pfn, pte_write

from .kvm_host import (
    KVM_MAX_HUGEPAGE_LEVEL,
    PG_LEVEL_2M,
    PG_LEVEL_4K,
    PG_LEVEL_NUM,
    Kvm,
    KvmMemorySlot,
    pages_per_hpage,
)
from .kvm_main import (
    kvm_available_flush_tlb_with_range,
    kvm_flush_remote_tlbs_with_address,
)
from .mmu_internal import kvm_update_page_stats, spte_index, sptep_to_sp
from .mmu_lpage import kvm_mmu_max_mapping_level
from .mmu_notifier import KvmGfnRange
from .mmu_spte import (
    __rmap_clear_dirty,
    for_each_rmap_spte,
    gfn_to_rmap,
    kvm_mmu_page_get_gfn,
    kvm_zap_all_rmap_sptes,
    kvm_zap_one_rmap_spte,
    mmu_spte_age,
    mmu_spte_clear_track_bits,
    mmu_spte_set,
    rmap_write_protect,
)
from .spte import is_accessed_spte, kvm_mmu_changed_pte_notifier_make_spte
from .tdp_mmu_slot import (
    kvm_tdp_mmu_age_gfn_range,
    kvm_tdp_mmu_clear_dirty_pt_masked,
    kvm_tdp_mmu_clear_dirty_slot,
    kvm_tdp_mmu_set_spte_gfn,
    kvm_tdp_mmu_test_age_gfn,
    kvm_tdp_mmu_try_split_huge_pages,
    kvm_tdp_mmu_unmap_gfn_range,
    kvm_tdp_mmu_write_protect_gfn,
    kvm_tdp_mmu_wrprot_slot,
    kvm_tdp_mmu_zap_collapsible_sptes,
)

Rmap = dict[int, list[int]]
SlotLevelHandler = Callable[[Kvm, KvmMemorySlot, Rmap, int], bool]
RmapHandler = Callable[[Kvm, Rmap, int, KvmGfnRange, int, int], bool]


def kvm_memslots_have_rmaps(kvm: Kvm) -> bool:
    """True if the legacy MMU may map memory: no nested guest of the model needs both."""
    return not kvm.tdp_mmu_enabled


def for_each_slot_rmap_range(
    kvm: Kvm, slot: KvmMemorySlot, start_level: int, end_level: int, start_gfn: Gfn, end_gfn: Gfn
) -> Iterator[tuple[Rmap, int, int, int]]:
    """The first rmap of [start_gfn, end_gfn], then those in use: rmaps, index, gfn, level.

    The walk comes to the first one of a level whether it is in use or not: a walk that looks for
    others that wait does so once for each level.
    """
    for level in range(start_level, end_level + 1):
        rmap, first = gfn_to_rmap(kvm, slot, start_gfn, level)
        _, last = gfn_to_rmap(kvm, slot, end_gfn, level)
        yield rmap, first, start_gfn, level
        if last - first < len(rmap):
            indices = [i for i in range(first + 1, last + 1) if i in rmap]
        else:
            indices = sorted(i for i in rmap if first < i <= last)
        shift = 9 * (level - 1)
        for index in indices:
            if index in rmap:
                yield rmap, index, start_gfn + ((index - first) << shift), level


def slot_handle_level_range(
    kvm: Kvm,
    slot: KvmMemorySlot,
    handler: SlotLevelHandler,
    start_level: int,
    end_level: int,
    start_gfn: Gfn,
    end_gfn: Gfn,
    flush_on_yield: bool,
    flush: bool,
) -> bool:
    """Calls the handler for each rmap in use, with breaks; True if a flush is due."""
    for rmap, index, _, _ in for_each_slot_rmap_range(
        kvm, slot, start_level, end_level, start_gfn, end_gfn
    ):
        flush |= handler(kvm, slot, rmap, index)
        # Others may come to wait at any time before this look.
        kvm.sched.point(("waiters", kvm.mmu_lock.name), False)
        if kvm.sched.need_resched() or kvm.mmu_lock.is_contended():
            if flush and flush_on_yield:
                # Mended (own-walk-flush-ends-early): all of the range, for each level begins anew
                # at its first gfn; the kernel flushes up to the gfn where it is.
                npages = end_gfn - start_gfn + 1
                kvm_flush_remote_tlbs_with_address(kvm, start_gfn, npages)
                flush = False
            kvm.mmu_lock.cond_resched_write()
    return flush


def slot_handle_level(
    kvm: Kvm,
    slot: KvmMemorySlot,
    handler: SlotLevelHandler,
    start_level: int,
    end_level: int,
    flush_on_yield: bool,
) -> bool:
    """slot_handle_level_range() for a whole slot."""
    return slot_handle_level_range(
        kvm,
        slot,
        handler,
        start_level,
        end_level,
        slot.base_gfn,
        slot.base_gfn + slot.npages - 1,
        flush_on_yield,
        False,
    )


def kvm_handle_gfn_range(kvm: Kvm, gfn_range: KvmGfnRange, handler: RmapHandler) -> bool:
    """Calls the handler for each rmap in use of a range; True if one of the calls was True."""
    ret = False
    for rmap, index, gfn, level in for_each_slot_rmap_range(
        kvm,
        gfn_range.slot,
        PG_LEVEL_4K,
        KVM_MAX_HUGEPAGE_LEVEL,
        gfn_range.start,
        gfn_range.end - 1,
    ):
        ret |= handler(kvm, rmap, index, gfn_range, gfn, level)
    return ret


def kvm_zap_rmap(
    kvm: Kvm, rmap: Rmap, index: int, gfn_range: KvmGfnRange, gfn: Gfn, level: int
) -> bool:
    """Unmaps the pages of an rmap."""
    return kvm_zap_all_rmap_sptes(kvm, rmap, index)


def kvm_set_pte_rmap(
    kvm: Kvm, rmap: Rmap, index: int, gfn_range: KvmGfnRange, gfn: Gfn, level: int
) -> bool:
    """The host put another page there: maps it if it is read-only, else only unmaps."""
    need_flush = False
    pte = gfn_range.pte
    restart = True
    while restart:
        restart = False
        for sptep in for_each_rmap_spte(kvm, rmap.get(index, [])):
            need_flush = True
            if pte_write(pte):
                kvm_zap_one_rmap_spte(kvm, rmap, index, sptep)
                restart = True
                break
            new_spte = kvm_mmu_changed_pte_notifier_make_spte(
                kvm, kvm.mem.load(sptep), pte_pfn(pte)
            )
            mmu_spte_clear_track_bits(kvm, sptep)
            mmu_spte_set(kvm, sptep, new_spte)
            # Mended (own-changed-pte-page-stats): clearing counted the page off, and setting the
            # new SPTE does not count it.
            kvm_update_page_stats(kvm, level, 1)
    if need_flush and kvm_available_flush_tlb_with_range(kvm):
        # Mended (9ffe9265375c): all of the huge page; 6.1 flushes one page of it.
        npages = pages_per_hpage(level)
        kvm_flush_remote_tlbs_with_address(kvm, gfn & -npages, npages)
        return False
    return need_flush


def kvm_age_rmap(
    kvm: Kvm, rmap: Rmap, index: int, gfn_range: KvmGfnRange, gfn: Gfn, level: int
) -> bool:
    """Clears the accessed state of the pages of an rmap."""
    young = False
    for sptep in for_each_rmap_spte(kvm, rmap.get(index, [])):
        young |= mmu_spte_age(kvm, sptep)
    return young


def kvm_test_age_rmap(
    kvm: Kvm, rmap: Rmap, index: int, gfn_range: KvmGfnRange, gfn: Gfn, level: int
) -> bool:
    """True if a page of the rmap was accessed."""
    return any(
        is_accessed_spte(kvm.masks, kvm.mem.load(sptep))
        for sptep in for_each_rmap_spte(kvm, rmap.get(index, []))
    )


def kvm_unmap_gfn_range(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
    """Unmaps a range; True if a flush is due."""
    # Left out: the page of the APIC, which no program has.
    flush = False
    if kvm_memslots_have_rmaps(kvm):
        flush = kvm_handle_gfn_range(kvm, gfn_range, kvm_zap_rmap)
    if kvm.tdp_mmu_enabled:
        flush = kvm_tdp_mmu_unmap_gfn_range(kvm, gfn_range, flush)
    return flush


def kvm_set_spte_gfn(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
    """Maps the page that the host now has there; True if a flush is due."""
    flush = False
    if kvm_memslots_have_rmaps(kvm):
        flush = kvm_handle_gfn_range(kvm, gfn_range, kvm_set_pte_rmap)
    if kvm.tdp_mmu_enabled:
        flush |= kvm_tdp_mmu_set_spte_gfn(kvm, gfn_range)
    return flush


def kvm_age_gfn(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
    """Clears the accessed state of a range; True if any of it was accessed."""
    young = False
    if kvm_memslots_have_rmaps(kvm):
        young = kvm_handle_gfn_range(kvm, gfn_range, kvm_age_rmap)
    if kvm.tdp_mmu_enabled:
        young |= kvm_tdp_mmu_age_gfn_range(kvm, gfn_range)
    return young


def kvm_test_age_gfn(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
    """True if any of a range was accessed."""
    young = False
    if kvm_memslots_have_rmaps(kvm):
        young = kvm_handle_gfn_range(kvm, gfn_range, kvm_test_age_rmap)
    if kvm.tdp_mmu_enabled:
        young |= kvm_tdp_mmu_test_age_gfn(kvm, gfn_range)
    return young


def kvm_mmu_slot_gfn_write_protect(kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, min_level: int) -> bool:
    """Makes the leaves of a gfn read-only for good; True if a flush is due."""
    write_protected = False
    if kvm_memslots_have_rmaps(kvm):
        for level in range(min_level, KVM_MAX_HUGEPAGE_LEVEL + 1):
            rmap, index = gfn_to_rmap(kvm, slot, gfn, level)
            write_protected |= rmap_write_protect(kvm, rmap.get(index, []), True)
    if kvm.tdp_mmu_enabled:
        write_protected |= kvm_tdp_mmu_write_protect_gfn(kvm, slot, gfn, min_level)
    return write_protected


def slot_rmap_write_protect(kvm: Kvm, slot: KvmMemorySlot, rmap: Rmap, index: int) -> bool:
    """Makes the pages of an rmap read-only."""
    return rmap_write_protect(kvm, rmap.get(index, []), False)


def kvm_mmu_slot_remove_write_access(kvm: Kvm, slot: KvmMemorySlot, start_level: int) -> None:
    """Makes the leaves of a slot read-only, down to `start_level`; the caller flushes."""
    if kvm_memslots_have_rmaps(kvm):
        kvm.mmu_lock.write_lock()
        slot_handle_level(
            kvm, slot, slot_rmap_write_protect, start_level, KVM_MAX_HUGEPAGE_LEVEL, False
        )
        kvm.mmu_lock.write_unlock()
    if kvm.tdp_mmu_enabled:
        kvm.mmu_lock.read_lock()
        kvm_tdp_mmu_wrprot_slot(kvm, slot, start_level)
        kvm.mmu_lock.read_unlock()


def slot_rmap_clear_dirty(kvm: Kvm, slot: KvmMemorySlot, rmap: Rmap, index: int) -> bool:
    """Makes the next write to the pages of an rmap seen."""
    return __rmap_clear_dirty(kvm, rmap.get(index, []))


def kvm_mmu_slot_leaf_clear_dirty(kvm: Kvm, slot: KvmMemorySlot) -> None:
    """Makes the next write to each 4K page of a slot seen; the caller flushes."""
    if kvm_memslots_have_rmaps(kvm):
        kvm.mmu_lock.write_lock()
        slot_handle_level(kvm, slot, slot_rmap_clear_dirty, PG_LEVEL_4K, PG_LEVEL_4K, False)
        kvm.mmu_lock.write_unlock()
    if kvm.tdp_mmu_enabled:
        kvm.mmu_lock.read_lock()
        kvm_tdp_mmu_clear_dirty_slot(kvm, slot)
        kvm.mmu_lock.read_unlock()


def rmaps_of_mask(kvm: Kvm, slot: KvmMemorySlot, gfn_offset: int, mask: int) -> Iterator[list[int]]:
    """The rmaps in use among the 4K pages of a word of the dirty bitmap, by gfn."""
    first = slot.base_gfn + gfn_offset
    rmap, start = gfn_to_rmap(kvm, slot, first + (mask & -mask).bit_length() - 1, PG_LEVEL_4K)
    end = gfn_to_rmap(kvm, slot, first + mask.bit_length() - 1, PG_LEVEL_4K)[1]
    if len(rmap) > end - start:
        indices = [i for i in range(start, end + 1) if i in rmap]
    else:
        indices = sorted(i for i in rmap if start <= i <= end)
    for index in indices:
        if mask >> (index - gfn_offset) & 1:
            yield rmap[index]


def kvm_mmu_write_protect_pt_masked(
    kvm: Kvm, slot: KvmMemorySlot, gfn_offset: int, mask: int
) -> None:
    """Write-protects the 4K pages of a word of the dirty bitmap."""
    if kvm.tdp_mmu_enabled:
        kvm_tdp_mmu_clear_dirty_pt_masked(kvm, slot, slot.base_gfn + gfn_offset, mask, True)
    if not kvm_memslots_have_rmaps(kvm):
        return
    for ptes in rmaps_of_mask(kvm, slot, gfn_offset, mask):
        rmap_write_protect(kvm, ptes, False)


def kvm_mmu_clear_dirty_pt_masked(
    kvm: Kvm, slot: KvmMemorySlot, gfn_offset: int, mask: int
) -> None:
    """Clears the dirty bits of the 4K pages of a word of the dirty bitmap."""
    if kvm.tdp_mmu_enabled:
        kvm_tdp_mmu_clear_dirty_pt_masked(kvm, slot, slot.base_gfn + gfn_offset, mask, False)
    if not kvm_memslots_have_rmaps(kvm):
        return
    for ptes in rmaps_of_mask(kvm, slot, gfn_offset, mask):
        __rmap_clear_dirty(kvm, ptes)


def kvm_arch_mmu_enable_log_dirty_pt_masked(
    kvm: Kvm, slot: KvmMemorySlot, gfn_offset: int, mask: int
) -> None:
    """The pages of a word of the dirty bitmap are clean: makes the next write to each seen."""
    # With init-set, huge pages are still mapped writable: the whole of them loses that.
    if kvm.manual_dirty_log_protect and kvm.dirty_log_init_set:
        start = slot.base_gfn + gfn_offset + (mask & -mask).bit_length() - 1
        end = slot.base_gfn + gfn_offset + mask.bit_length() - 1
        # Mended (own-clear-log-split-off-by-one): the end is exclusive; the kernel passes the last
        # gfn.
        if kvm.eager_page_split:
            kvm_mmu_try_split_huge_pages(kvm, slot, start, end + 1, PG_LEVEL_4K)
        kvm_mmu_slot_gfn_write_protect(kvm, slot, start, PG_LEVEL_2M)
        # Mended (own-clear-log-edge): rounded down; the kernel rounds up, so that it passes over a
        # huge page that begins with the last gfn.
        hpage = pages_per_hpage(PG_LEVEL_2M)
        if start // hpage != end // hpage:
            kvm_mmu_slot_gfn_write_protect(kvm, slot, end, PG_LEVEL_2M)
    if kvm.cpu_dirty_log_size:
        kvm_mmu_clear_dirty_pt_masked(kvm, slot, gfn_offset, mask)
    else:
        kvm_mmu_write_protect_pt_masked(kvm, slot, gfn_offset, mask)


def kvm_mmu_try_split_huge_pages(
    kvm: Kvm, slot: KvmMemorySlot, start: int, end: int, target_level: int
) -> None:
    """Splits the huge pages of a range; the legacy MMU does so for nested guests only."""
    if kvm.tdp_mmu_enabled:
        kvm_tdp_mmu_try_split_huge_pages(kvm, slot, start, end, target_level, False)


def kvm_mmu_slot_try_split_huge_pages(kvm: Kvm, slot: KvmMemorySlot, target_level: int) -> None:
    """Splits the huge pages of a slot."""
    if not kvm.tdp_mmu_enabled:
        return
    kvm.mmu_lock.read_lock()
    kvm_tdp_mmu_try_split_huge_pages(
        kvm, slot, slot.base_gfn, slot.base_gfn + slot.npages, target_level, True
    )
    kvm.mmu_lock.read_unlock()


def kvm_mmu_zap_collapsible_spte(kvm: Kvm, slot: KvmMemorySlot, rmap: Rmap, index: int) -> bool:
    """Clears the pages of an rmap that a huge page could replace; True if a flush is due."""
    need_tlb_flush = False
    restart = True
    while restart:
        restart = False
        for sptep in for_each_rmap_spte(kvm, rmap.get(index, [])):
            sp = sptep_to_sp(kvm, sptep)
            # A table that begins outside the slot cannot become a huge page.
            if not slot.base_gfn <= sp.gfn < slot.base_gfn + slot.npages:
                continue
            if sp.role.direct and sp.role.level < kvm_mmu_max_mapping_level(
                kvm, slot, sp.gfn, PG_LEVEL_NUM
            ):
                kvm_zap_one_rmap_spte(kvm, rmap, index, sptep)
                if kvm_available_flush_tlb_with_range(kvm):
                    # Mended (1b2dc7360463): flushes the gfn of the SPTE; 6.1 takes that of its
                    # table.
                    gfn = kvm_mmu_page_get_gfn(sp, spte_index(sptep))
                    kvm_flush_remote_tlbs_with_address(kvm, gfn, pages_per_hpage(sp.role.level))
                else:
                    need_tlb_flush = True
                restart = True
                break
    return need_tlb_flush


def kvm_arch_flush_remote_tlbs_memslot(kvm: Kvm, slot: KvmMemorySlot) -> None:
    """Flushes what is cached of a slot."""
    kvm.slots_lock.assert_held("kvm_arch_flush_remote_tlbs_memslot")
    kvm_flush_remote_tlbs_with_address(kvm, slot.base_gfn, slot.npages)


def kvm_mmu_zap_collapsible_sptes(kvm: Kvm, slot: KvmMemorySlot) -> None:
    """Lets huge pages come back after dirty logging."""
    if kvm_memslots_have_rmaps(kvm):
        kvm.mmu_lock.write_lock()
        # 1G pages are as large as can be.
        if slot_handle_level(
            kvm,
            slot,
            kvm_mmu_zap_collapsible_spte,
            PG_LEVEL_4K,
            KVM_MAX_HUGEPAGE_LEVEL - 1,
            True,
        ):
            kvm_arch_flush_remote_tlbs_memslot(kvm, slot)
        kvm.mmu_lock.write_unlock()
    if kvm.tdp_mmu_enabled:
        kvm.mmu_lock.read_lock()
        kvm_tdp_mmu_zap_collapsible_sptes(kvm, slot)
        kvm.mmu_lock.read_unlock()


def __kvm_zap_rmap(kvm: Kvm, slot: KvmMemorySlot, rmap: Rmap, index: int) -> bool:
    """Unmaps the pages of an rmap."""
    return kvm_zap_all_rmap_sptes(kvm, rmap, index)
