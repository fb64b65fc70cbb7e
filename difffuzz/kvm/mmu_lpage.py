# SPDX-License-Identifier: GPL-2.0-only
"""mmu.c: how large a page may be: lpage_info, the host's mapping level, the NX mitigation."""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn, Spte
from difffuzz.machine.pagetable import HOST_PAGE_TABLE
from difffuzz.sched import KernelSplat

from .kvm_host import (
    KVM_MAX_HUGEPAGE_LEVEL,
    PG_LEVEL_2M,
    PG_LEVEL_4K,
    Kvm,
    KvmMemorySlot,
    KvmVcpu,
    pages_per_hpage,
)
from .kvm_main import is_error_noslot_pfn
from .memslots import gfn_to_hva_memslot, gfn_to_index, kvm_slot_dirty_track_enabled
from .mmu_internal import KvmPageFault, spte_to_child_sp
from .spte import is_large_pte, is_shadow_present_pte


def lpage_info_index(slot: KvmMemorySlot, gfn: Gfn, level: int) -> int:
    """Index into the slot's lpage_info of `level`; outside it is a crash (KASAN's, in a kernel)."""
    index = gfn_to_index(gfn, slot.base_gfn, level)
    if not 0 <= index < slot.arch.lpages[level - 1]:
        raise KernelSplat("crash", "lpage_info_slot", "gfn outside the slot: out of bounds")
    return index


def disallow_lpage(slot: KvmMemorySlot, gfn: Gfn, level: int) -> int:
    """How many reasons forbid a page of `level` at `gfn`."""
    index = lpage_info_index(slot, gfn, level)
    count = slot.arch.lpage_info[level - 2].get(index, 0)
    return count + slot.arch.misaligned[level - 2]


def update_gfn_disallow_lpage_count(kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, count: int) -> None:
    """Adds `count` reasons against huge pages at `gfn`, of every level."""
    for level in range(PG_LEVEL_2M, KVM_MAX_HUGEPAGE_LEVEL + 1):
        index = lpage_info_index(slot, gfn, level)
        info = slot.arch.lpage_info[level - 2]
        value = info.get(index, 0) + count
        if value < 0:
            kvm.warn("update_gfn_disallow_lpage_count", "negative")
        if value:
            info[index] = value
        else:
            info.pop(index, None)


def kvm_mmu_gfn_disallow_lpage(kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> None:
    """One more reason against huge pages at `gfn`."""
    update_gfn_disallow_lpage_count(kvm, slot, gfn, 1)


def kvm_mmu_gfn_allow_lpage(kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> None:
    """One reason less against huge pages at `gfn`."""
    update_gfn_disallow_lpage_count(kvm, slot, gfn, -1)


def host_pfn_mapping_level(kvm: Kvm, gfn: Gfn, slot: KvmMemorySlot) -> int:
    """The level at which the host maps the page, read without a lock."""
    kvm.sched.point(HOST_PAGE_TABLE, False)
    return kvm.mm.mapping_level(gfn_to_hva_memslot(slot, gfn))


def kvm_mmu_max_mapping_level(kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, max_level: int) -> int:
    """The highest level, at most `max_level`, at which `gfn` may be mapped."""
    max_level = min(max_level, kvm.max_huge_page_level)
    while max_level > PG_LEVEL_4K:
        if not disallow_lpage(slot, gfn, max_level):
            break
        max_level -= 1
    if max_level == PG_LEVEL_4K:
        return PG_LEVEL_4K
    return min(host_pfn_mapping_level(kvm, gfn, slot), max_level)


def kvm_mmu_hugepage_adjust(vcpu: KvmVcpu, fault: KvmPageFault) -> None:
    """Decides the level to map at: fault.req_level, fault.goal_level, and the pfn aligned to it."""
    slot = fault.slot
    fault.huge_page_disallowed = fault.exec and fault.nx_huge_page_workaround_enabled
    if fault.max_level == PG_LEVEL_4K:
        return
    if is_error_noslot_pfn(fault.pfn):
        return
    assert slot is not None
    if kvm_slot_dirty_track_enabled(slot):
        return
    # The level must be read with mmu_lock held, else the host may split the page meanwhile.
    fault.req_level = kvm_mmu_max_mapping_level(vcpu.kvm, slot, fault.gfn, fault.max_level)
    if fault.req_level == PG_LEVEL_4K or fault.huge_page_disallowed:
        return
    fault.goal_level = fault.req_level
    mask = pages_per_hpage(fault.goal_level) - 1
    if (fault.gfn & mask) != (fault.pfn & mask):
        raise KernelSplat("warn", "kvm_mmu_hugepage_adjust", "gfn and pfn are not congruent")
    fault.pfn &= ~mask


def disallowed_hugepage_adjust(kvm: Kvm, fault: KvmPageFault, spte: Spte, cur_level: int) -> None:
    """Goes one level down where the NX mitigation already put a page table."""
    # From 6.2: a fault goes around tables that the mitigation made; 6.1 goes around every table.
    if (
        cur_level > PG_LEVEL_4K
        and cur_level == fault.goal_level
        and is_shadow_present_pte(spte)
        and not is_large_pte(spte)
        and spte_to_child_sp(kvm, spte).nx_huge_page_disallowed
    ):
        page_mask = pages_per_hpage(cur_level) - pages_per_hpage(cur_level - 1)
        fault.pfn |= fault.gfn & page_mask
        fault.goal_level -= 1
