# SPDX-License-Identifier: GPL-2.0-only
"""mmu.c: roots: allocating, freeing, caching and finding obsolete ones; loading the MMU."""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn
from difffuzz.facts.errno import EIO
from difffuzz.facts.paging import FOUR_LEVEL_BITS, PT_PRESENT_MASK

from .kvm_host import (
    INVALID_PAE_ROOT,
    INVALID_PAGE,
    KVM_MMU_NUM_PREV_ROOTS,
    KVM_MMU_ROOT_CURRENT,
    KVM_MMU_ROOTS_ALL,
    KVM_REQ_LOAD_MMU_PGD,
    KVM_REQ_TLB_FLUSH_CURRENT,
    PT32_ROOT_LEVEL,
    PT32E_ROOT_LEVEL,
    PT64_ROOT_4LEVEL,
    PT64_ROOT_5LEVEL,
    PT64_ROOT_MAX_LEVEL,
    Kvm,
    KvmMmu,
    KvmMmuPage,
    KvmMmuPageRole,
    KvmMmuRootInfo,
    KvmVcpu,
)
from .kvm_main import kvm_make_request, kvm_mmu_topup_memory_cache
from .mmu_internal import is_obsolete_sp, to_shadow_page
from .mmu_page import (
    kvm_mmu_commit_zap_page,
    kvm_mmu_get_shadow_page,
    kvm_mmu_prepare_zap_page,
    make_mmu_pages_available,
)
from .mmu_rsvd import reset_shadow_zero_bits_mask
from .spte import ACC_ALL, SPTE_BASE_ADDR_MASK, kvm_ad_enabled
from .tdp_mmu import kvm_tdp_mmu_get_vcpu_root_hpa, kvm_tdp_mmu_put_root

PTE_PREFETCH_NUM = 8


def mmu_topup_memory_caches(vcpu: KvmVcpu) -> int:
    """Fills the vCPU's caches with what one fault may need; 0 or -ENOMEM."""
    kvm = vcpu.kvm
    r = kvm_mmu_topup_memory_cache(
        kvm, vcpu.mmu_pte_list_desc_cache, 1 + PT64_ROOT_MAX_LEVEL + PTE_PREFETCH_NUM
    )
    if r:
        return r
    r = kvm_mmu_topup_memory_cache(kvm, vcpu.mmu_shadow_page_cache, PT64_ROOT_MAX_LEVEL)
    if r:
        return r
    return kvm_mmu_topup_memory_cache(kvm, vcpu.mmu_page_header_cache, PT64_ROOT_MAX_LEVEL)


def kvm_mmu_get_tdp_level(vcpu: KvmVcpu) -> int:
    """Levels of a root with nested paging: five if the addresses of the vCPU's guest need them.

    SVM has as many as the host's own tables (`tdp_root_level`).
    """
    kvm = vcpu.kvm
    if kvm.tdp_root_level:
        return kvm.tdp_root_level
    if kvm.max_tdp_level == PT64_ROOT_5LEVEL and vcpu.maxphyaddr <= FOUR_LEVEL_BITS:
        return PT64_ROOT_4LEVEL
    return kvm.max_tdp_level


def kvm_init_mmu(vcpu: KvmVcpu) -> None:
    """Computes the role of the vCPU's root from its mode."""
    kvm = vcpu.kvm
    role = KvmMmuPageRole()
    role.access = ACC_ALL
    role.smm = vcpu.smm
    role.guest_mode = vcpu.guest_mode
    role.direct = True
    if kvm.tdp_enabled:
        role.ad_disabled = not kvm_ad_enabled(kvm.masks)
        role.level = kvm_mmu_get_tdp_level(vcpu)
    else:
        # Nonpaging shadow pages are PAE page tables.
        role.level = PT32E_ROOT_LEVEL
    vcpu.mmu.is_tdp = kvm.tdp_enabled
    vcpu.mmu.root_role = role
    reset_shadow_zero_bits_mask(kvm, vcpu.mmu)


def kvm_mmu_create(vcpu: KvmVcpu) -> int:
    """Gives the vCPU its MMU; a nonpaging one has a page for the four PAE roots."""
    kvm = vcpu.kvm
    if not kvm.tdp_enabled:
        vcpu.mmu.pae_root = kvm.mem.alloc(None)
    return 0


def kvm_mmu_destroy(vcpu: KvmVcpu) -> None:
    """Drops the vCPU's roots and its PAE page."""
    kvm_mmu_unload(vcpu)
    if vcpu.mmu.pae_root:
        vcpu.kvm.mem.free(vcpu.mmu.pae_root)
        vcpu.mmu.pae_root = 0


def mmu_free_root_page(kvm: Kvm, root_hpa: int, invalid_list: list[KvmMmuPage]) -> int:
    """Drops a reference to a root; returns INVALID_PAGE, which takes its place."""
    if root_hpa < 0:
        return root_hpa
    sp = to_shadow_page(kvm, root_hpa & SPTE_BASE_ADDR_MASK)
    if sp is None:
        kvm.warn("mmu_free_root_page", "the root has no shadow page")
        return root_hpa
    if sp.tdp_mmu_page:
        kvm_tdp_mmu_put_root(kvm, sp, False)
    else:
        sp.root_count -= 1
        if not sp.root_count and sp.role.invalid:
            kvm_mmu_prepare_zap_page(kvm, sp, invalid_list)
    return INVALID_PAGE


def kvm_mmu_free_roots(kvm: Kvm, mmu: KvmMmu, roots_to_free: int) -> None:
    """Drops the current root (bit 0) and cached ones (bit 1 + index)."""
    invalid_list: list[KvmMmuPage] = []
    free_active_root = bool(roots_to_free & KVM_MMU_ROOT_CURRENT) and mmu.root.hpa >= 0
    if not free_active_root and not any(
        roots_to_free & 2 << i and mmu.prev_roots[i].hpa >= 0 for i in range(KVM_MMU_NUM_PREV_ROOTS)
    ):
        return
    kvm.mmu_lock.write_lock()
    for i, prev in enumerate(mmu.prev_roots):
        if roots_to_free & 2 << i:
            prev.hpa = mmu_free_root_page(kvm, prev.hpa, invalid_list)
    if free_active_root:
        if to_shadow_page(kvm, mmu.root.hpa) is not None:
            mmu.root.hpa = mmu_free_root_page(kvm, mmu.root.hpa, invalid_list)
        elif mmu.pae_root:
            for i in range(4):
                root = kvm.mem.load(mmu.pae_root + 8 * i)
                if root == INVALID_PAE_ROOT:
                    continue
                mmu_free_root_page(kvm, root & SPTE_BASE_ADDR_MASK, invalid_list)
                kvm.mem.store(mmu.pae_root + 8 * i, INVALID_PAE_ROOT)
        mmu.root.hpa = INVALID_PAGE
        mmu.root.pgd = 0
    kvm_mmu_commit_zap_page(kvm, invalid_list)
    kvm.mmu_lock.write_unlock()


def mmu_alloc_root(vcpu: KvmVcpu, gfn: Gfn, level: int) -> int:
    """A legacy root, held by a reference; its physical address."""
    role = vcpu.mmu.root_role.copy()
    role.level = level
    sp = kvm_mmu_get_shadow_page(vcpu, gfn, role)
    sp.root_count += 1
    return sp.spt


def mmu_alloc_direct_roots(vcpu: KvmVcpu) -> int:
    """Gives the vCPU a root; 0, -ENOSPC or -EIO."""
    kvm = vcpu.kvm
    mmu = vcpu.mmu
    kvm.mmu_lock.write_lock()
    r = mmu_alloc_direct_roots_locked(vcpu, mmu, mmu.root_role.level)
    kvm.mmu_lock.write_unlock()
    return r


def mmu_alloc_direct_roots_locked(vcpu: KvmVcpu, mmu: KvmMmu, shadow_root_level: int) -> int:
    """The part of mmu_alloc_direct_roots() under mmu_lock."""
    kvm = vcpu.kvm
    r = make_mmu_pages_available(vcpu)
    if r < 0:
        return r
    if kvm.tdp_mmu_enabled:
        mmu.root.hpa = kvm_tdp_mmu_get_vcpu_root_hpa(vcpu)
    elif shadow_root_level >= PT64_ROOT_4LEVEL:
        mmu.root.hpa = mmu_alloc_root(vcpu, 0, shadow_root_level)
    elif shadow_root_level == PT32E_ROOT_LEVEL:
        if not mmu.pae_root:
            kvm.warn("mmu_alloc_direct_roots", "no page for PAE roots")
            return -EIO
        for i in range(4):
            if kvm.mem.load(mmu.pae_root + 8 * i) != INVALID_PAE_ROOT:
                kvm.warn("mmu_alloc_direct_roots", "a PAE root is there already")
            root = mmu_alloc_root(vcpu, i << (30 - 12), PT32_ROOT_LEVEL)
            kvm.mem.store(mmu.pae_root + 8 * i, root | PT_PRESENT_MASK)
        mmu.root.hpa = mmu.pae_root
    else:
        kvm.warn("mmu_alloc_direct_roots", "bad root level")
        return -EIO
    mmu.root.pgd = 0
    return 0


def kvm_mmu_load(vcpu: KvmVcpu) -> int:
    """Makes the vCPU ready to enter the guest; 0 or -errno."""
    r = mmu_topup_memory_caches(vcpu)
    if r:
        return r
    r = mmu_alloc_direct_roots(vcpu)
    if r:
        return r
    # The new root may be at the address of one whose translations are still cached.
    vcpu.cpu.tlb.flush_all()
    return 0


def kvm_mmu_reload(vcpu: KvmVcpu) -> int:
    """kvm_mmu_load() if there is no root."""
    if vcpu.mmu.root.hpa >= 0:
        return 0
    return kvm_mmu_load(vcpu)


def vcpu_clear_mmio_info(vcpu: KvmVcpu) -> None:
    """vcpu_clear_mmio_info(MMIO_GVA_ANY): forgets the last MMIO by virtual address."""
    vcpu.mmio_gva = 0


def kvm_mmu_unload(vcpu: KvmVcpu) -> None:
    """Drops all roots of the vCPU."""
    kvm_mmu_free_roots(vcpu.kvm, vcpu.mmu, KVM_MMU_ROOTS_ALL)
    if vcpu.mmu.root.hpa >= 0:
        vcpu.kvm.warn("kvm_mmu_unload", "the root is still there")
    vcpu_clear_mmio_info(vcpu)


def kvm_mmu_reset_context(vcpu: KvmVcpu) -> None:
    """Drops all roots and computes the role anew."""
    kvm_mmu_unload(vcpu)
    kvm_init_mmu(vcpu)


def is_obsolete_root(kvm: Kvm, root_hpa: int) -> bool:
    """True if the root must be dropped: obsolete, or without a shadow page that could tell."""
    if root_hpa < 0:
        return False
    sp = to_shadow_page(kvm, root_hpa)
    return sp is None or is_obsolete_sp(kvm, sp)


def kvm_mmu_free_obsolete_roots(vcpu: KvmVcpu) -> None:
    """Drops the obsolete ones among the current and the cached roots."""
    kvm = vcpu.kvm
    mmu = vcpu.mmu
    roots_to_free = 0
    if is_obsolete_root(kvm, mmu.root.hpa):
        roots_to_free |= KVM_MMU_ROOT_CURRENT
    for i in range(KVM_MMU_NUM_PREV_ROOTS):
        if is_obsolete_root(kvm, mmu.prev_roots[i].hpa):
            roots_to_free |= 2 << i
    if roots_to_free:
        kvm_mmu_free_roots(kvm, mmu, roots_to_free)


def is_root_usable(kvm: Kvm, root: KvmMmuRootInfo, role: KvmMmuPageRole) -> bool:
    """True if a cached root serves the role; every root of the model is direct."""
    if root.hpa < 0:
        return False
    sp = to_shadow_page(kvm, root.hpa)
    return sp is not None and sp.role.word == role.word


def cached_root_find_and_keep_current(kvm: Kvm, mmu: KvmMmu, new_role: KvmMmuPageRole) -> bool:
    """Looks for a usable root, rotating the others through the cache; the last is dropped."""
    if is_root_usable(kvm, mmu.root, new_role):
        return True
    for i in range(KVM_MMU_NUM_PREV_ROOTS):
        mmu.root, mmu.prev_roots[i] = mmu.prev_roots[i], mmu.root
        if is_root_usable(kvm, mmu.root, new_role):
            return True
    kvm_mmu_free_roots(kvm, mmu, KVM_MMU_ROOT_CURRENT)
    return False


def cached_root_find_without_current(kvm: Kvm, mmu: KvmMmu, new_role: KvmMmuPageRole) -> bool:
    """Looks for a usable root among the cached ones."""
    for i in range(KVM_MMU_NUM_PREV_ROOTS):
        if is_root_usable(kvm, mmu.prev_roots[i], new_role):
            mmu.root, mmu.prev_roots[i] = mmu.prev_roots[i], mmu.root
            mmu.prev_roots.append(mmu.prev_roots.pop(i))
            mmu.prev_roots[-1].hpa = INVALID_PAGE
            return True
    return False


def fast_pgd_switch(kvm: Kvm, mmu: KvmMmu, new_role: KvmMmuPageRole) -> bool:
    """Switches to a cached root if one serves the role."""
    # A root without shadow page cannot be compared.
    if mmu.root.hpa >= 0 and to_shadow_page(kvm, mmu.root.hpa) is None:
        kvm_mmu_free_roots(kvm, mmu, KVM_MMU_ROOT_CURRENT)
    if mmu.root.hpa >= 0:
        return cached_root_find_and_keep_current(kvm, mmu, new_role)
    return cached_root_find_without_current(kvm, mmu, new_role)


def kvm_mmu_new_pgd(vcpu: KvmVcpu) -> None:
    """The guest loaded another page table: switches roots, or leaves that to the next entry."""
    if not fast_pgd_switch(vcpu.kvm, vcpu.mmu, vcpu.mmu.root_role):
        return
    kvm_make_request(KVM_REQ_LOAD_MMU_PGD, vcpu)
    kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu)
    vcpu_clear_mmio_info(vcpu)
