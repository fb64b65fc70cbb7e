# SPDX-License-Identifier: GPL-2.0-only
"""mmu.c: changing one SPTE of the legacy MMU, and its reverse map."""

from __future__ import annotations

from collections.abc import Iterator

from difffuzz.facts.addresses import Gfn, Spte, SptePtr
from difffuzz.facts.paging import PT_WRITABLE_MASK
from difffuzz.sched import KernelSplat

from .kvm_host import Kvm, KvmMemorySlot, KvmMmuMemoryCache, KvmMmuPage, pages_per_hpage
from .kvm_main import (
    kvm_flush_remote_tlbs_with_address,
    kvm_mmu_memory_cache_alloc,
    kvm_set_pfn_accessed,
    kvm_set_pfn_dirty,
)
from .memslots import gfn_to_index, kvm_memslots_for_spte_role, search_memslots
from .mmu_internal import kvm_update_page_stats, spte_index, sptep_to_sp
from .spte import (
    check_spte_writable_invariants,
    is_accessed_spte,
    is_dirty_spte,
    is_mmu_writable_spte,
    is_shadow_present_pte,
    is_writable_pte,
    mark_spte_for_access_track,
    spte_ad_enabled,
    spte_ad_need_write_protect,
    spte_has_volatile_bits,
    spte_to_pfn,
)

PTE_LIST_EXT = 14
RMAP_RECYCLE_THRESHOLD = 1000


def mmu_spte_set(kvm: Kvm, sptep: SptePtr, new_spte: Spte) -> None:
    """Writes an entry that is not present."""
    if is_shadow_present_pte(kvm.mem.load(sptep)):
        kvm.warn("mmu_spte_set", "the SPTE is present already")
    kvm.mem.write_once(sptep, new_spte)


def mmu_spte_update_no_track(kvm: Kvm, sptep: SptePtr, new_spte: Spte) -> int:
    """Replaces an entry by one that maps the same pfn; returns the entry before."""
    old_spte = kvm.mem.load(sptep)
    if not is_shadow_present_pte(new_spte):
        kvm.warn("mmu_spte_update_no_track", "the new SPTE is not present")
    check_spte_writable_invariants(kvm, new_spte)
    if not is_shadow_present_pte(old_spte):
        mmu_spte_set(kvm, sptep, new_spte)
        return old_spte
    if not spte_has_volatile_bits(kvm.masks, old_spte):
        kvm.mem.write_once(sptep, new_spte)
    else:
        old_spte = kvm.mem.xchg(sptep, new_spte)
    if spte_to_pfn(old_spte) != spte_to_pfn(new_spte):
        kvm.warn("mmu_spte_update_no_track", "the pfn changed")
    return old_spte


def mmu_spte_update(kvm: Kvm, sptep: SptePtr, new_spte: Spte) -> bool:
    """mmu_spte_update_no_track(), with the host told of A/D bits; True if TLBs need a flush."""
    m = kvm.masks
    flush = False
    old_spte = mmu_spte_update_no_track(kvm, sptep, new_spte)
    if not is_shadow_present_pte(old_spte):
        return False
    # MMU-writable, not writable: a fast page fault may have made it writable meanwhile.
    if is_mmu_writable_spte(m, old_spte) and not is_writable_pte(new_spte):
        flush = True
    if is_accessed_spte(m, old_spte) and not is_accessed_spte(m, new_spte):
        flush = True
        kvm_set_pfn_accessed(kvm, spte_to_pfn(old_spte))
    if is_dirty_spte(m, old_spte) and not is_dirty_spte(m, new_spte):
        flush = True
        kvm_set_pfn_dirty(kvm, spte_to_pfn(old_spte))
    return flush


def mmu_spte_clear_track_bits(kvm: Kvm, sptep: SptePtr) -> Spte:
    """Clears an entry, with the host told of A/D bits; returns the entry before."""
    m = kvm.masks
    old_spte = kvm.mem.load(sptep)
    level = sptep_to_sp(kvm, sptep).role.level
    if not is_shadow_present_pte(old_spte) or not spte_has_volatile_bits(m, old_spte):
        kvm.mem.write_once(sptep, 0)
    else:
        old_spte = kvm.mem.xchg(sptep, 0)
    if not is_shadow_present_pte(old_spte):
        return old_spte
    kvm_update_page_stats(kvm, level, -1)
    pfn = spte_to_pfn(old_spte)
    if kvm.mm.frames.is_free(pfn):
        kvm.warn("mmu_spte_clear_track_bits", "the page was freed while KVM mapped it")
    if is_accessed_spte(m, old_spte):
        kvm_set_pfn_accessed(kvm, pfn)
    if is_dirty_spte(m, old_spte):
        kvm_set_pfn_dirty(kvm, pfn)
    return old_spte


def mmu_spte_clear_no_track(kvm: Kvm, sptep: SptePtr) -> None:
    """Clears an entry that is no leaf."""
    kvm.mem.write_once(sptep, 0)


def mmu_spte_age(kvm: Kvm, sptep: SptePtr) -> bool:
    """Clears the accessed state of an entry; True if it was accessed."""
    m = kvm.masks
    spte = kvm.mem.read_once(sptep)
    if not is_accessed_spte(m, spte):
        return False
    if spte_ad_enabled(spte):
        # clear_bit(): an atomic and-not of the bit.
        kvm.sched.point(sptep)
        kvm.mem.store(sptep, kvm.mem.load(sptep) & ~m.shadow_accessed_mask)
    else:
        if is_writable_pte(spte):
            kvm_set_pfn_dirty(kvm, spte_to_pfn(spte))
        spte = mark_spte_for_access_track(kvm, spte)
        mmu_spte_update_no_track(kvm, sptep, spte)
    return True


def kvm_mmu_page_get_gfn(sp: KvmMmuPage, index: int) -> Gfn:
    """The gfn that entry `index` of the page maps."""
    return sp.gfn + (index << ((sp.role.level - 1) * 9))


def pte_list_add(kvm: Kvm, cache: KvmMmuMemoryCache, sptep: SptePtr, ptes: list[int]) -> int:
    """Adds an entry to an rmap or to a page's parents; returns how many there were."""
    count = len(ptes)
    if count == 1 or (count > 1 and count % PTE_LIST_EXT == 0):
        kvm_mmu_memory_cache_alloc(kvm, cache)
    ptes.append(sptep)
    return count


def pte_list_remove(sptep: SptePtr, ptes: list[int]) -> None:
    """Removes an entry; the last one takes its place, as in the kernel."""
    if sptep not in ptes:
        raise KernelSplat("warn", "pte_list_remove", "the SPTE is not on the list")
    i = ptes.index(sptep)
    last = ptes.pop()
    if last != sptep:
        ptes[i] = last


def gfn_to_rmap(
    kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, level: int
) -> tuple[dict[int, list[int]], int]:
    """The slot's rmaps of `level` and the index of `gfn` in them; outside is a crash."""
    rmap = slot.arch.rmap
    if rmap is None:
        raise KernelSplat("crash", "gfn_to_rmap", "the slot has no rmaps")
    index = gfn_to_index(gfn, slot.base_gfn, level)
    above = level - 1
    if not 0 <= index < slot.arch.lpages[above]:
        raise KernelSplat("crash", "gfn_to_rmap", "gfn outside the slot: out of bounds")
    return rmap[above], index


def rmap_remove(kvm: Kvm, sptep: SptePtr) -> None:
    """Takes the entry out of its rmap."""
    sp = sptep_to_sp(kvm, sptep)
    gfn = kvm_mmu_page_get_gfn(sp, spte_index(sptep))
    slots = kvm_memslots_for_spte_role(kvm, sp.role)
    slot = search_memslots(slots, gfn)
    if slot is None:
        raise KernelSplat("crash", "rmap_remove", "no slot holds the gfn")
    rmap, index = gfn_to_rmap(kvm, slot, gfn, sp.role.level)
    ptes = rmap.get(index)
    if ptes is None:
        raise KernelSplat("warn", "pte_list_remove", "the rmap is empty")
    pte_list_remove(sptep, ptes)
    if not ptes:
        del rmap[index]


def drop_spte(kvm: Kvm, sptep: SptePtr) -> None:
    """Clears a leaf and its rmap entry."""
    old_spte = mmu_spte_clear_track_bits(kvm, sptep)
    if is_shadow_present_pte(old_spte):
        rmap_remove(kvm, sptep)


def __rmap_add(
    kvm: Kvm, cache: KvmMmuMemoryCache, slot: KvmMemorySlot, sptep: SptePtr, gfn: Gfn
) -> None:
    """Counts a new leaf and enters it in its rmap."""
    sp = sptep_to_sp(kvm, sptep)
    level = sp.role.level
    kvm_update_page_stats(kvm, level, 1)
    rmap, index = gfn_to_rmap(kvm, slot, gfn, level)
    ptes = rmap.setdefault(index, [])
    if pte_list_add(kvm, cache, sptep, ptes) > RMAP_RECYCLE_THRESHOLD:
        kvm_zap_all_rmap_sptes(kvm, rmap, index)
        # Mended (1b2dc7360463): flushes the gfn of the SPTE; 6.1 takes that of its table.
        kvm_flush_remote_tlbs_with_address(kvm, gfn, pages_per_hpage(level))


def kvm_zap_one_rmap_spte(kvm: Kvm, rmap: dict[int, list[int]], index: int, sptep: SptePtr) -> None:
    """Clears one leaf of an rmap."""
    mmu_spte_clear_track_bits(kvm, sptep)
    ptes = rmap[index]
    pte_list_remove(sptep, ptes)
    if not ptes:
        del rmap[index]


def kvm_zap_all_rmap_sptes(kvm: Kvm, rmap: dict[int, list[int]], index: int) -> bool:
    """Clears every leaf of an rmap; True if there was one."""
    ptes = rmap.get(index)
    if not ptes:
        return False
    for sptep in ptes:
        mmu_spte_clear_track_bits(kvm, sptep)
    del rmap[index]
    return True


def for_each_rmap_spte(kvm: Kvm, ptes: list[int]) -> Iterator[int]:
    """The entries of an rmap; each must be present."""
    for sptep in list(ptes):
        if not is_shadow_present_pte(kvm.mem.load(sptep)):
            raise KernelSplat("warn", "rmap_get_next", "an SPTE on an rmap is not present")
        yield sptep


def spte_write_protect(kvm: Kvm, sptep: SptePtr, pt_protect: bool) -> bool:
    """Makes a leaf read-only, with `pt_protect` for good; True if TLBs need a flush."""
    m = kvm.masks
    spte = kvm.mem.load(sptep)
    if not is_writable_pte(spte) and not (pt_protect and is_mmu_writable_spte(m, spte)):
        return False
    if pt_protect:
        spte &= ~m.shadow_mmu_writable_mask
    spte &= ~PT_WRITABLE_MASK
    return mmu_spte_update(kvm, sptep, spte)


def rmap_write_protect(kvm: Kvm, ptes: list[int], pt_protect: bool) -> bool:
    """Makes every leaf of an rmap read-only; True if TLBs need a flush."""
    flush = False
    for sptep in for_each_rmap_spte(kvm, ptes):
        flush |= spte_write_protect(kvm, sptep, pt_protect)
    return flush


def spte_clear_dirty(kvm: Kvm, sptep: SptePtr) -> bool:
    """Clears the dirty bit; True if TLBs need a flush."""
    return mmu_spte_update(kvm, sptep, kvm.mem.load(sptep) & ~kvm.masks.shadow_dirty_mask)


def spte_wrprot_for_clear_dirty(kvm: Kvm, sptep: SptePtr) -> bool:
    """Write-protects a leaf without dirty bit; True if it was writable."""
    kvm.sched.point(sptep)
    spte = kvm.mem.load(sptep)
    was_writable = is_writable_pte(spte)
    if was_writable:
        kvm.mem.store(sptep, spte & ~PT_WRITABLE_MASK)
        if not spte_ad_enabled(spte):
            kvm_set_pfn_dirty(kvm, spte_to_pfn(spte))
    return was_writable


def __rmap_clear_dirty(kvm: Kvm, ptes: list[int]) -> bool:
    """The next write to the page will be seen; True if TLBs need a flush."""
    flush = False
    for sptep in for_each_rmap_spte(kvm, ptes):
        if spte_ad_need_write_protect(kvm.mem.load(sptep)):
            flush |= spte_wrprot_for_clear_dirty(kvm, sptep)
        else:
            flush |= spte_clear_dirty(kvm, sptep)
    return flush
