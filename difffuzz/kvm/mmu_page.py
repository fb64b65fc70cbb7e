# SPDX-License-Identifier: GPL-2.0-only
"""mmu.c: the legacy MMU's shadow pages: finding, making, linking, zapping, reclaiming."""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn, SptePtr
from difffuzz.facts.errno import ENOSPC

from .kvm_host import (
    KVM_MIN_FREE_MMU_PAGES,
    KVM_REFILL_PAGES,
    KVM_REQ_MMU_FREE_OBSOLETE_ROOTS,
    PG_LEVEL_4K,
    Kvm,
    KvmMmuMemoryCache,
    KvmMmuPage,
    KvmMmuPageRole,
    KvmVcpu,
)
from .kvm_main import kvm_flush_remote_tlbs, kvm_make_all_cpus_request, kvm_mmu_memory_cache_alloc
from .mmu_internal import (
    is_obsolete_sp,
    spte_to_child_sp,
    sptep_to_sp,
    unaccount_nx_huge_page,
)
from .mmu_spte import (
    drop_spte,
    mmu_spte_clear_no_track,
    mmu_spte_set,
    pte_list_add,
    pte_list_remove,
)
from .spte import (
    is_large_pte,
    is_last_spte,
    is_mmio_spte,
    is_shadow_present_pte,
    make_nonleaf_spte,
    sp_ad_disabled,
)


def kvm_mmu_find_shadow_page(kvm: Kvm, gfn: Gfn, role: KvmMmuPageRole) -> KvmMmuPage | None:
    """The page for `gfn` with this role."""
    # Otherwise: each gfn has a hash bucket of its own, so that there are no collisions
    # (statistics).
    word = role.word
    for sp in kvm.mmu_page_hash.get(gfn, ()):
        if not is_obsolete_sp(kvm, sp) and sp.role.word == word:
            return sp
    return None


def kvm_mmu_alloc_shadow_page(
    kvm: Kvm, caches: tuple[KvmMmuMemoryCache, KvmMmuMemoryCache], gfn: Gfn, role: KvmMmuPageRole
) -> KvmMmuPage:
    """A new page, on the active list and in the hash; `caches` are for headers and page tables."""
    sp = KvmMmuPage()
    kvm_mmu_memory_cache_alloc(kvm, caches[0])
    kvm_mmu_memory_cache_alloc(kvm, caches[1])
    sp.spt = kvm.mem.alloc(sp)
    sp.mmu_valid_gen = kvm.mmu_valid_gen
    # Otherwise: the oldest page is first; the kernel adds at the head and reclaims from the tail.
    kvm.active_mmu_pages[sp] = None
    kvm.n_used_mmu_pages += 1
    sp.gfn = gfn
    sp.role = role
    kvm.mmu_page_hash.setdefault(gfn, []).insert(0, sp)
    return sp


def kvm_mmu_get_shadow_page(vcpu: KvmVcpu, gfn: Gfn, role: KvmMmuPageRole) -> KvmMmuPage:
    """The page for `gfn` with this role, made if there is none."""
    kvm = vcpu.kvm
    sp = kvm_mmu_find_shadow_page(kvm, gfn, role)
    if sp is None:
        caches = (vcpu.mmu_page_header_cache, vcpu.mmu_shadow_page_cache)
        sp = kvm_mmu_alloc_shadow_page(kvm, caches, gfn, role)
    return sp


def kvm_mmu_child_role(kvm: Kvm, sptep: SptePtr, access: int) -> KvmMmuPageRole:
    """The role of a page below the entry at `sptep`."""
    role = sptep_to_sp(kvm, sptep).role.copy()
    role.level -= 1
    role.access = access
    role.direct = True
    if role.invalid:
        kvm.warn("kvm_mmu_child_role", "the parent is invalid")
    role.invalid = False
    return role


def kvm_mmu_get_child_sp(vcpu: KvmVcpu, sptep: SptePtr, gfn: Gfn, access: int) -> KvmMmuPage | None:
    """The page to link at `sptep`; None (the kernel's -EEXIST) if it is linked there already."""
    kvm = vcpu.kvm
    role = kvm_mmu_child_role(kvm, sptep, access)
    spte = kvm.mem.load(sptep)
    if is_shadow_present_pte(spte) and not is_large_pte(spte):
        child = spte_to_child_sp(kvm, spte)
        if child.gfn == gfn and child.role.word == role.word:
            return None
    return kvm_mmu_get_shadow_page(vcpu, gfn, role)


def link_shadow_page(vcpu: KvmVcpu, sptep: SptePtr, sp: KvmMmuPage, flush: bool = True) -> None:
    """__link_shadow_page(): points the entry at `sp`, in place of what it held."""
    kvm = vcpu.kvm
    if is_shadow_present_pte(kvm.mem.load(sptep)):
        invalid_list: list[KvmMmuPage] = []
        parent_sp = sptep_to_sp(kvm, sptep)
        if parent_sp.role.level == PG_LEVEL_4K:
            kvm.warn("__link_shadow_page", "a page table below a 4K entry")
        mmu_page_zap_pte(kvm, parent_sp, sptep, invalid_list)
        kvm_mmu_remote_flush_or_zap(kvm, invalid_list, flush)
    mmu_spte_set(kvm, sptep, make_nonleaf_spte(kvm.masks, sp.spt, sp_ad_disabled(sp)))
    pte_list_add(kvm, vcpu.mmu_pte_list_desc_cache, sptep, sp.parent_ptes)


def drop_parent_pte(kvm: Kvm, sp: KvmMmuPage, parent_pte: SptePtr) -> None:
    """Unlinks the page from one parent."""
    pte_list_remove(parent_pte, sp.parent_ptes)
    mmu_spte_clear_no_track(kvm, parent_pte)


def mmu_page_zap_pte(
    kvm: Kvm, sp: KvmMmuPage, sptep: SptePtr, invalid_list: list[KvmMmuPage] | None
) -> int:
    """Clears one entry of a page; 1 if it zapped the child too, as it does for those of an L2."""
    pte = kvm.mem.load(sptep)
    if is_shadow_present_pte(pte):
        if is_last_spte(pte, sp.role.level):
            drop_spte(kvm, sptep)
        else:
            child = spte_to_child_sp(kvm, pte)
            drop_parent_pte(kvm, child, sptep)
            # Nobody is likely to want the page of an L2 again that has no parent left.
            unwanted = kvm.tdp_enabled and child.role.guest_mode and not child.parent_ptes
            # Below a root of five levels it may be a root of four, of a vCPU that still has it.
            if unwanted and not child.root_count and invalid_list is not None:
                return kvm_mmu_prepare_zap_page(kvm, child, invalid_list)
    elif is_mmio_spte(kvm.masks, pte):
        mmu_spte_clear_no_track(kvm, sptep)
    return 0


def kvm_mmu_page_unlink_children(kvm: Kvm, sp: KvmMmuPage, invalid_list: list[KvmMmuPage]) -> int:
    """Clears every entry of a page."""
    zapped = 0
    # Otherwise: only entries that are not 0 are looked at; with those the kernel does nothing.
    for index in sorted(kvm.mem.page(sp.spt).ent):
        zapped += mmu_page_zap_pte(kvm, sp, sp.spt + 8 * index, invalid_list)
    return zapped


def kvm_mmu_unlink_parents(kvm: Kvm, sp: KvmMmuPage) -> None:
    """Unlinks the page from all its parents."""
    while sp.parent_ptes:
        drop_parent_pte(kvm, sp, sp.parent_ptes[0])


def __kvm_mmu_prepare_zap_page(
    kvm: Kvm, sp: KvmMmuPage, invalid_list: list[KvmMmuPage]
) -> tuple[bool, int]:
    """__kvm_mmu_prepare_zap_page(): (the active list was changed elsewhere too, pages zapped)."""
    kvm.mmu_lock.assert_held_write("__kvm_mmu_prepare_zap_page")
    zapped_root = False
    kvm.stat.mmu_shadow_zapped += 1
    nr_zapped = kvm_mmu_page_unlink_children(kvm, sp, invalid_list)
    kvm_mmu_unlink_parents(kvm, sp)
    list_unstable = nr_zapped != 0
    if not sp.root_count:
        nr_zapped += 1
        # An invalid root is on no list any more.
        if not sp.role.invalid:
            del kvm.active_mmu_pages[sp]
        invalid_list.append(sp)
        kvm.n_used_mmu_pages -= 1
    else:
        # An active root stays alive until its last user drops it.
        kvm.active_mmu_pages.pop(sp, None)
        zapped_root = not is_obsolete_sp(kvm, sp)
    if sp.nx_huge_page_disallowed:
        unaccount_nx_huge_page(kvm, sp)
    sp.role.invalid = True
    # After marking it invalid: a vCPU that sees the request must see the mark.
    if zapped_root:
        kvm_make_all_cpus_request(kvm, KVM_REQ_MMU_FREE_OBSOLETE_ROOTS)
    return list_unstable, nr_zapped


def kvm_mmu_prepare_zap_page(kvm: Kvm, sp: KvmMmuPage, invalid_list: list[KvmMmuPage]) -> int:
    """Unlinks a page and puts it on `invalid_list`; 1 if any page was zapped, however many."""
    return int(__kvm_mmu_prepare_zap_page(kvm, sp, invalid_list)[1] > 0)


def kvm_mmu_free_shadow_page(kvm: Kvm, sp: KvmMmuPage) -> None:
    """Frees a page that nothing points to."""
    bucket = kvm.mmu_page_hash[sp.gfn]
    bucket.remove(sp)
    if not bucket:
        del kvm.mmu_page_hash[sp.gfn]
    kvm.mem.free(sp.spt)


def kvm_mmu_commit_zap_page(kvm: Kvm, invalid_list: list[KvmMmuPage]) -> None:
    """Frees the pages of the list, after a flush that makes sure that no CPU walks them."""
    if not invalid_list:
        return
    kvm_flush_remote_tlbs(kvm)
    for sp in invalid_list:
        if not sp.role.invalid or sp.root_count:
            kvm.warn("kvm_mmu_commit_zap_page", "the page is still in use")
        kvm_mmu_free_shadow_page(kvm, sp)
    invalid_list.clear()


def kvm_mmu_remote_flush_or_zap(
    kvm: Kvm, invalid_list: list[KvmMmuPage], remote_flush: bool
) -> bool:
    """Frees the pages of the list, or only flushes; True if TLBs were flushed."""
    if not remote_flush and not invalid_list:
        return False
    if invalid_list:
        kvm_mmu_commit_zap_page(kvm, invalid_list)
    else:
        kvm_flush_remote_tlbs(kvm)
    return True


def kvm_mmu_zap_oldest_mmu_pages(kvm: Kvm, nr_to_zap: int) -> int:
    """Zaps pages, the oldest first, until `nr_to_zap` are gone; returns how many are."""
    total_zapped = 0
    invalid_list: list[KvmMmuPage] = []
    if not kvm.active_mmu_pages:
        return 0
    restart = True
    while restart:
        restart = False
        for sp in list(kvm.active_mmu_pages):
            # A root in use would come back at once.
            if sp.root_count:
                continue
            unstable, nr_zapped = __kvm_mmu_prepare_zap_page(kvm, sp, invalid_list)
            total_zapped += nr_zapped
            if total_zapped >= nr_to_zap:
                break
            if unstable:
                restart = True
                break
    kvm_mmu_commit_zap_page(kvm, invalid_list)
    kvm.stat.mmu_recycled += total_zapped
    return total_zapped


def kvm_mmu_available_pages(kvm: Kvm) -> int:
    """Shadow pages that may still be made."""
    return max(kvm.n_max_mmu_pages - kvm.n_used_mmu_pages, 0)


def make_mmu_pages_available(vcpu: KvmVcpu) -> int:
    """Makes sure that one fault's worth of shadow pages may be made; -ENOSPC if it cannot."""
    kvm = vcpu.kvm
    kvm.mmu_lock.assert_held_write("make_mmu_pages_available")
    avail = kvm_mmu_available_pages(kvm)
    if avail >= KVM_MIN_FREE_MMU_PAGES:
        return 0
    kvm_mmu_zap_oldest_mmu_pages(kvm, KVM_REFILL_PAGES - avail)
    # The limit is soft: one fault may exceed it, but it may not start there.
    if not kvm_mmu_available_pages(kvm):
        return -ENOSPC
    return 0


def kvm_mmu_change_mmu_pages(kvm: Kvm, goal_nr_mmu_pages: int) -> None:
    """Sets the limit on shadow pages."""
    kvm.mmu_lock.write_lock()
    if kvm.n_used_mmu_pages > goal_nr_mmu_pages:
        kvm_mmu_zap_oldest_mmu_pages(kvm, kvm.n_used_mmu_pages - goal_nr_mmu_pages)
        goal_nr_mmu_pages = kvm.n_used_mmu_pages
    kvm.n_max_mmu_pages = goal_nr_mmu_pages
    kvm.mmu_lock.write_unlock()
