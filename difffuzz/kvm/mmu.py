# SPDX-License-Identifier: GPL-2.0-only
"""mmu.c: handling a page fault, up to the point where the two MMUs part."""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn, Pfn, Spte, SptePtr
from difffuzz.facts.errno import EFAULT, EINVAL
from difffuzz.facts.paging import PT_WRITABLE_MASK
from difffuzz.machine.pagetable import HOST_PAGE_TABLE

from .async_pf import kvm_arch_setup_async_pf, kvm_can_do_async_pf
from .kvm_host import (
    KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS,
    KVM_REQ_APF_HALT,
    KVM_REQ_MMU_FREE_OBSOLETE_ROOTS,
    OUTSIDE_GUEST_MODE,
    PG_LEVEL_2M,
    PG_LEVEL_4K,
    PT32E_ROOT_LEVEL,
    READING_SHADOW_PAGE_TABLES,
    KvmMemorySlot,
    KvmVcpu,
    pages_per_hpage,
)
from .kvm_main import (
    KVM_PFN_ERR_HWPOISON,
    KVM_PFN_ERR_RO_FAULT,
    KVM_PFN_NOSLOT,
    __gfn_to_pfn_memslot,
    gfn_to_page_many_atomic,
    is_error_pfn,
    is_noslot_pfn,
    kvm_flush_remote_tlbs_with_address,
    kvm_make_request,
    kvm_release_pfn_clean,
    kvm_test_request,
)
from .memslots import (
    kvm_is_visible_memslot,
    kvm_slot_dirty_track_enabled,
    kvm_vcpu_gfn_to_memslot,
    kvm_vcpu_memslots,
    mark_page_dirty_in_slot,
)
from .mmu_internal import (
    RET_PF_CONTINUE,
    RET_PF_EMULATE,
    RET_PF_FIXED,
    RET_PF_INVALID,
    RET_PF_RETRY,
    RET_PF_SPURIOUS,
    KvmPageFault,
    account_nx_huge_page,
    is_access_allowed,
    is_obsolete_sp,
    is_tdp_mmu,
    kvm_mmu_max_gfn,
    spte_to_child_sp,
    sptep_to_sp,
    to_shadow_page,
)
from .mmu_lpage import disallowed_hugepage_adjust, kvm_mmu_hugepage_adjust
from .mmu_notifier import mmu_invalidate_retry_hva
from .mmu_page import (
    drop_parent_pte,
    kvm_mmu_get_child_sp,
    link_shadow_page,
    make_mmu_pages_available,
)
from .mmu_roots import PTE_PREFETCH_NUM, mmu_topup_memory_caches
from .mmu_rsvd import is_rsvd_spte
from .mmu_spte import __rmap_add, drop_spte, kvm_mmu_page_get_gfn, mmu_spte_set, mmu_spte_update
from .page_track import kvm_slot_page_track_is_active
from .spte import (
    ACC_ALL,
    ACC_WRITE_MASK,
    MMIO_SPTE_GEN_MASK,
    SPTE_BASE_ADDR_MASK,
    get_mmio_spte_generation,
    get_mmio_spte_gfn,
    is_access_track_spte,
    is_large_pte,
    is_last_spte,
    is_mmio_spte,
    is_mmu_writable_spte,
    is_shadow_present_pte,
    is_writable_pte,
    kvm_ad_enabled,
    make_mmio_spte,
    make_spte,
    restore_acc_track_spte,
    sp_ad_disabled,
    spte_to_pfn,
)
from .tdp_iter import for_each_tdp_pte
from .tdp_mmu import kvm_tdp_mmu_map


class KvmShadowWalkIterator:
    """struct kvm_shadow_walk_iterator: a walk down the legacy MMU's tables."""

    __slots__ = ("addr", "index", "level", "shadow_addr", "sptep", "vcpu")

    def __init__(self, vcpu: KvmVcpu, addr: int) -> None:
        self.vcpu = vcpu
        self.addr = addr
        self.shadow_addr = vcpu.mmu.root.hpa
        self.level = vcpu.mmu.root_role.level
        self.sptep = 0
        self.index = 0
        if self.level == PT32E_ROOT_LEVEL:
            self.shadow_addr = vcpu.kvm.mem.load(vcpu.mmu.pae_root + 8 * (addr >> 30 & 3))
            self.shadow_addr &= SPTE_BASE_ADDR_MASK
            self.level -= 1
            if not self.shadow_addr:
                self.level = 0

    def okay(self) -> bool:
        """shadow_walk_okay(): points the iterator at its entry; False at the end of the walk."""
        if self.level < PG_LEVEL_4K:
            return False
        self.index = (self.addr >> (12 + 9 * (self.level - 1))) & 511
        self.sptep = self.shadow_addr + 8 * self.index
        return True

    def step(self, spte: Spte) -> None:
        """__shadow_walk_next()."""
        if not is_shadow_present_pte(spte) or is_last_spte(spte, self.level):
            self.level = 0
            return
        self.shadow_addr = spte & SPTE_BASE_ADDR_MASK
        self.level -= 1


def mark_mmio_spte(vcpu: KvmVcpu, sptep: SptePtr, gfn: Gfn, access: int) -> None:
    """Writes an MMIO SPTE."""
    mmu_spte_set(vcpu.kvm, sptep, make_mmio_spte(vcpu, gfn, access))


def check_mmio_spte(vcpu: KvmVcpu, spte: Spte) -> bool:
    """True if the MMIO SPTE is of the current memslots."""
    gen = kvm_vcpu_memslots(vcpu).generation
    if gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS:
        return False
    return gen & MMIO_SPTE_GEN_MASK == get_mmio_spte_generation(spte)


def mmu_set_spte(
    vcpu: KvmVcpu,
    slot: KvmMemorySlot | None,
    sptep: SptePtr,
    pte_access: int,
    gfn: Gfn,
    pfn: Pfn,
    fault: KvmPageFault | None,
) -> int:
    """Maps a page in the legacy MMU; `fault` is None for a prefetch.  RET_PF_*."""
    kvm = vcpu.kvm
    sp = sptep_to_sp(kvm, sptep)
    level = sp.role.level
    was_rmapped = False
    ret = RET_PF_FIXED
    flush = False
    host_writable = fault is None or fault.map_writable
    prefetch = fault is None or fault.prefetch
    write_fault = fault is not None and fault.write
    spte = kvm.mem.load(sptep)
    if is_shadow_present_pte(spte):
        if level > PG_LEVEL_4K and not is_large_pte(spte):
            # A page table gives way to a huge page.
            drop_parent_pte(kvm, spte_to_child_sp(kvm, spte), sptep)
            flush = True
        elif pfn != spte_to_pfn(spte):
            drop_spte(kvm, sptep)
            flush = True
        else:
            was_rmapped = True
    if is_noslot_pfn(pfn):
        vcpu.stat.pf_mmio_spte_created += 1
        mark_mmio_spte(vcpu, sptep, gfn, pte_access)
        if flush:
            kvm_flush_remote_tlbs_with_address(kvm, gfn, pages_per_hpage(level))
        return RET_PF_EMULATE
    assert slot is not None
    old_spte = kvm.mem.load(sptep)
    wrprot, new_spte = make_spte(
        vcpu, sp, slot, pte_access, gfn, pfn, old_spte, prefetch, True, host_writable
    )
    if old_spte == new_spte:
        ret = RET_PF_SPURIOUS
    else:
        flush |= mmu_spte_update(kvm, sptep, new_spte)
    if wrprot and write_fault:
        ret = RET_PF_EMULATE
    if flush:
        kvm_flush_remote_tlbs_with_address(kvm, gfn, pages_per_hpage(level))
    if not was_rmapped:
        if ret == RET_PF_SPURIOUS:
            kvm.warn("mmu_set_spte", "spurious fault on an SPTE that was not mapped")
        __rmap_add(kvm, vcpu.mmu_pte_list_desc_cache, slot, sptep, gfn)
    return ret


def gfn_to_memslot_dirty_bitmap(
    vcpu: KvmVcpu, gfn: Gfn, no_dirty_log: bool
) -> KvmMemorySlot | None:
    """The slot to prefetch from: none if it is invalid, or logs dirty pages and that matters."""
    slot = kvm_vcpu_gfn_to_memslot(vcpu, gfn)
    if slot is None or not kvm_is_visible_memslot(slot):
        return None
    if no_dirty_log and kvm_slot_dirty_track_enabled(slot):
        return None
    return slot


def direct_pte_prefetch_many(vcpu: KvmVcpu, sptep: SptePtr, count: int) -> int:
    """Maps `count` absent 4K neighbours, as far as the host has them; -1 to stop prefetching."""
    kvm = vcpu.kvm
    sp = sptep_to_sp(kvm, sptep)
    access = sp.role.access
    gfn = kvm_mmu_page_get_gfn(sp, (sptep >> 3) & 511)
    slot = gfn_to_memslot_dirty_bitmap(vcpu, gfn, access & ACC_WRITE_MASK != 0)
    if slot is None:
        return -1
    pfns = gfn_to_page_many_atomic(kvm, slot, gfn, count)
    if not pfns:
        return -1
    for i, pfn in enumerate(pfns):
        mmu_set_spte(vcpu, slot, sptep + 8 * i, access, gfn + i, pfn, None)
        kvm.mm.put_page(pfn)
    return 0


def direct_pte_prefetch(vcpu: KvmVcpu, sptep: SptePtr) -> None:
    """Maps the absent ones of the eight neighbours of a 4K page."""
    kvm = vcpu.kvm
    sp = sptep_to_sp(kvm, sptep)
    # Without an accessed bit there is no telling prefetched pages from used ones.
    if sp_ad_disabled(sp):
        return
    if sp.role.level > PG_LEVEL_4K:
        return
    # The pages may be about to go.
    if kvm.mmu_invalidate_in_progress:
        return
    first = sptep & ~(8 * PTE_PREFETCH_NUM - 1)
    start = 0
    for i in range(PTE_PREFETCH_NUM):
        ptr = first + 8 * i
        if is_shadow_present_pte(kvm.mem.load(ptr)) or ptr == sptep:
            if not start:
                continue
            if direct_pte_prefetch_many(vcpu, start, (ptr - start) >> 3) < 0:
                return
            start = 0
        elif not start:
            start = ptr
    if start:
        direct_pte_prefetch_many(vcpu, start, (first + 8 * PTE_PREFETCH_NUM - start) >> 3)


def direct_map(vcpu: KvmVcpu, fault: KvmPageFault) -> int:
    """Walks to the goal level, making the shadow pages on the way, and maps the page; RET_PF_*."""
    kvm = vcpu.kvm
    kvm_mmu_hugepage_adjust(vcpu, fault)
    base_gfn = fault.gfn
    it = KvmShadowWalkIterator(vcpu, fault.addr)
    while it.okay():
        spte = kvm.mem.load(it.sptep)
        # A huge page cannot take the place of a table that the NX mitigation needs.
        if fault.nx_huge_page_workaround_enabled:
            disallowed_hugepage_adjust(kvm, fault, spte, it.level)
        base_gfn = fault.gfn & ~(pages_per_hpage(it.level) - 1)
        if it.level == fault.goal_level:
            break
        sp = kvm_mmu_get_child_sp(vcpu, it.sptep, base_gfn, ACC_ALL)
        if sp is not None:
            link_shadow_page(vcpu, it.sptep, sp)
            # From 6.2 (b5b0977f4aa2): nonpaging faults are accounted too, and so is a table where
            # no huge page is possible.
            if fault.huge_page_disallowed:
                account_nx_huge_page(kvm, sp, fault.req_level >= it.level)
        it.step(kvm.mem.load(it.sptep))
    if it.level != fault.goal_level:
        kvm.warn("direct_map", "the walk did not reach the goal level")
        return -EFAULT
    ret = mmu_set_spte(vcpu, fault.slot, it.sptep, ACC_ALL, base_gfn, fault.pfn, fault)
    if ret == RET_PF_SPURIOUS:
        return ret
    direct_pte_prefetch(vcpu, it.sptep)
    return ret


def kvm_send_hwpoison_signal(vcpu: KvmVcpu) -> None:
    """SIGBUS to the vCPU's thread: it leaves KVM_RUN at the next chance."""
    vcpu.sigbus = True


def kvm_handle_error_pfn(vcpu: KvmVcpu, fault: KvmPageFault) -> int:
    """What becomes of a fault whose page cannot be had."""
    # A read-only mapping: the write is the guest's MMIO.
    if fault.pfn == KVM_PFN_ERR_RO_FAULT:
        return RET_PF_EMULATE
    # Left out: the pfn of 6.2 that says that a signal came (-EINTR). Nobody sends signals here but
    # the kernel, for a page with a memory error.
    if fault.pfn == KVM_PFN_ERR_HWPOISON:
        kvm_send_hwpoison_signal(vcpu)
        return RET_PF_RETRY
    return -EFAULT


def vcpu_cache_mmio_info(vcpu: KvmVcpu, gva: int, gfn: Gfn, access: int) -> None:
    """Notes that `gfn` is MMIO under the current memslots."""
    gen = kvm_vcpu_memslots(vcpu).generation
    if gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS:
        return
    vcpu.mmio_gva = gva & ~0xFFF
    vcpu.mmio_access = access
    vcpu.mmio_gfn = gfn
    vcpu.mmio_gen = gen


def mmio_info_in_cache(vcpu: KvmVcpu, addr: int, direct: bool) -> bool:
    """True if `addr` is known to be MMIO."""
    if vcpu.mmio_gen != kvm_vcpu_memslots(vcpu).generation:
        return False
    if direct:
        return bool(vcpu.mmio_gfn) and vcpu.mmio_gfn == addr >> 12
    return bool(vcpu.mmio_gva) and vcpu.mmio_gva == addr & ~0xFFF


def kvm_handle_noslot_fault(vcpu: KvmVcpu, fault: KvmPageFault, access: int) -> int:
    """A fault where no memslot is: RET_PF_CONTINUE to map an MMIO SPTE."""
    gva = 0 if fault.is_tdp else fault.addr
    m = vcpu.kvm.masks
    vcpu_cache_mmio_info(vcpu, gva, fault.gfn, access & m.shadow_mmio_access_mask)
    if not m.enable_mmio_caching:
        return RET_PF_EMULATE
    # No CPU of this host can tell of such a gfn: whoever does runs nested and was lied to.
    if fault.gfn > kvm_mmu_max_gfn(vcpu.kvm):
        return RET_PF_EMULATE
    return RET_PF_CONTINUE


def page_fault_can_be_fast(vcpu: KvmVcpu, fault: KvmPageFault) -> bool:
    """True if the fault may be fixed by giving a present SPTE its permissions back."""
    if fault.rsvd:
        return False
    # Not present: only if access tracking took the permissions away.
    if not fault.present:
        return not kvm_ad_enabled(vcpu.kvm.masks)
    return fault.write


def fast_pf_fix_direct_spte(
    vcpu: KvmVcpu, fault: KvmPageFault, sptep: SptePtr, old_spte: Spte, new_spte: Spte
) -> bool:
    """Writes the SPTE without mmu_lock; False if it changed meanwhile."""
    if vcpu.kvm.mem.cmpxchg(sptep, old_spte, new_spte) != old_spte:
        return False
    if is_writable_pte(new_spte) and not is_writable_pte(old_spte):
        mark_page_dirty_in_slot(vcpu.kvm, fault.slot, fault.gfn)
    return True


def fast_pf_get_last_sptep(vcpu: KvmVcpu, gpa: int) -> tuple[int, int]:
    """The last entry of the walk for `gpa`: (pointer, entry); (0, 0) without a walk."""
    sptep = 0
    spte = 0
    it = KvmShadowWalkIterator(vcpu, gpa)
    while it.okay():
        sptep = it.sptep
        spte = vcpu.kvm.mem.read_once(sptep)
        it.step(spte)
    return sptep, spte


def kvm_tdp_mmu_fast_pf_get_last_sptep(vcpu: KvmVcpu, addr: int) -> tuple[int, int]:
    """fast_pf_get_last_sptep() of the TDP MMU (tdp_mmu.c)."""
    kvm = vcpu.kvm
    root = to_shadow_page(kvm, vcpu.mmu.root.hpa)
    assert root is not None
    gfn = addr >> 12
    sptep = 0
    spte = 0
    for it in for_each_tdp_pte(kvm, root, gfn, gfn + 1):
        spte = it.old_spte
        sptep = it.sptep
    return sptep, spte


def walk_shadow_page_lockless_begin(vcpu: KvmVcpu) -> None:
    """Keeps the tables from being freed: by RCU, or by interrupts off."""
    if is_tdp_mmu(vcpu.kvm, vcpu.mmu):
        vcpu.kvm.rcu.read_lock()
        return
    # smp_store_mb()
    vcpu.kvm.sched.store(("mode", vcpu.vcpu_id), vcpu, "mode", READING_SHADOW_PAGE_TABLES)
    vcpu.kvm.sched.fence()


def walk_shadow_page_lockless_end(vcpu: KvmVcpu) -> None:
    """The walk is over."""
    if is_tdp_mmu(vcpu.kvm, vcpu.mmu):
        vcpu.kvm.rcu.read_unlock()
        return
    vcpu.kvm.sched.point(("mode", vcpu.vcpu_id))
    vcpu.mode = OUTSIDE_GUEST_MODE
    vcpu.ipis += 1


def fast_page_fault(vcpu: KvmVcpu, fault: KvmPageFault) -> int:
    """Fixes the fault without mmu_lock if that is possible, else RET_PF_INVALID."""
    kvm = vcpu.kvm
    ret = RET_PF_INVALID
    retry_count = 0
    if not page_fault_can_be_fast(vcpu, fault):
        return ret
    m = kvm.masks
    tdp_mmu = is_tdp_mmu(kvm, vcpu.mmu)
    walk_shadow_page_lockless_begin(vcpu)
    while True:
        if tdp_mmu:
            sptep, spte = kvm_tdp_mmu_fast_pf_get_last_sptep(vcpu, fault.addr)
        else:
            sptep, spte = fast_pf_get_last_sptep(vcpu, fault.addr)
        if not is_shadow_present_pte(spte):
            break
        level = sptep_to_sp(kvm, sptep).role.level
        if not is_last_spte(spte, level):
            break
        if is_access_allowed(m, fault, spte):
            ret = RET_PF_SPURIOUS
            break
        new_spte = spte
        if not kvm_ad_enabled(m) and is_access_track_spte(m, spte):
            new_spte = restore_acc_track_spte(m, new_spte)
        if fault.write and is_mmu_writable_spte(m, spte):
            new_spte |= PT_WRITABLE_MASK
            # A huge page must not become writable in a slot that logs dirty pages.
            if level > PG_LEVEL_4K:
                assert fault.slot is not None
                if kvm_slot_dirty_track_enabled(fault.slot):
                    break
        # The restored permissions may still not be enough.
        if new_spte == spte or not is_access_allowed(m, fault, new_spte):
            break
        if fast_pf_fix_direct_spte(vcpu, fault, sptep, spte, new_spte):
            ret = RET_PF_FIXED
            break
        retry_count += 1
        if retry_count > 4:
            break
    walk_shadow_page_lockless_end(vcpu)
    if ret != RET_PF_INVALID:
        vcpu.stat.pf_fast += 1
    return ret


def get_walk(vcpu: KvmVcpu, addr: int) -> list[tuple[int, int]]:
    """Level and SPTE of each step of the walk for `addr`, from the root on."""
    sptes = []
    it = KvmShadowWalkIterator(vcpu, addr)
    while it.okay():
        spte = vcpu.kvm.mem.read_once(it.sptep)
        sptes.append((it.level, spte))
        it.step(spte)
    return sptes


def kvm_tdp_mmu_get_walk(vcpu: KvmVcpu, addr: int) -> list[tuple[int, int]]:
    """get_walk() of the TDP MMU (tdp_mmu.c)."""
    kvm = vcpu.kvm
    root = to_shadow_page(kvm, vcpu.mmu.root.hpa)
    assert root is not None
    gfn = addr >> 12
    return [(it.level, it.old_spte) for it in for_each_tdp_pte(kvm, root, gfn, gfn + 1)]


def get_mmio_spte(vcpu: KvmVcpu, addr: int) -> tuple[int, bool]:
    """The last SPTE of the walk for `addr`, and whether one on the way has reserved bits."""
    walk_shadow_page_lockless_begin(vcpu)
    if is_tdp_mmu(vcpu.kvm, vcpu.mmu):
        sptes = kvm_tdp_mmu_get_walk(vcpu, addr)
    else:
        sptes = get_walk(vcpu, addr)
    walk_shadow_page_lockless_end(vcpu)
    if not sptes:
        return 0, False
    spte = sptes[-1][1]
    # An MMIO SPTE has reserved bits: that is what it is for.
    if not is_shadow_present_pte(spte):
        sptes.pop()
    check = vcpu.mmu.shadow_zero_check
    return spte, any(is_rsvd_spte(check, passed, level) for level, passed in sptes)


def handle_mmio_page_fault(vcpu: KvmVcpu, addr: int, direct: bool) -> int:
    """A fault by reserved bits: RET_PF_EMULATE for MMIO, RET_PF_INVALID if that is out of date.

    -EINVAL for an SPTE that has reserved bits and is no MMIO SPTE.
    """
    kvm = vcpu.kvm
    if mmio_info_in_cache(vcpu, addr, direct):
        return RET_PF_EMULATE
    spte, reserved = get_mmio_spte(vcpu, addr)
    if reserved:
        kvm.warn("handle_mmio_page_fault", "reserved bits in an SPTE that is not MMIO")
        return -EINVAL
    m = kvm.masks
    if is_mmio_spte(m, spte):
        gfn = get_mmio_spte_gfn(m, spte)
        access = spte & m.shadow_mmio_access_mask
        if not check_mmio_spte(vcpu, spte):
            return RET_PF_INVALID
        gva = 0 if direct else addr
        vcpu_cache_mmio_info(vcpu, gva, gfn, access)
        return RET_PF_EMULATE
    # Another task replaced it meanwhile.
    return RET_PF_RETRY


def page_fault_handle_page_track(vcpu: KvmVcpu, fault: KvmPageFault) -> bool:
    """True if the fault is a write to a write-tracked page, which is emulated."""
    if fault.rsvd:
        return False
    if not fault.present or not fault.write:
        return False
    return kvm_slot_page_track_is_active(vcpu.kvm, fault.slot, fault.gfn)


def __kvm_faultin_pfn(vcpu: KvmVcpu, fault: KvmPageFault) -> int:
    """From the fault's slot to its pfn."""
    kvm = vcpu.kvm
    slot = fault.slot
    # The slot is being deleted or moved: wait for what comes after.
    if slot is not None and not kvm_is_visible_memslot(slot):
        return RET_PF_RETRY
    if slot is None and vcpu.guest_mode:
        # L2 does not get MMIO SPTEs of L1's memory map.
        fault.pfn = KVM_PFN_NOSLOT
        fault.map_writable = False
        return RET_PF_CONTINUE
    fault.pfn, fault.map_writable, fault.hva, wait = __gfn_to_pfn_memslot(
        kvm, slot, fault.gfn, False, True, fault.write
    )
    if not wait:
        return RET_PF_CONTINUE
    if not fault.prefetch and kvm_can_do_async_pf(vcpu):
        if fault.gfn in vcpu.apf_gfns:
            kvm_make_request(KVM_REQ_APF_HALT, vcpu)
            return RET_PF_RETRY
        if kvm_arch_setup_async_pf(vcpu, fault.gfn):
            return RET_PF_RETRY
    fault.pfn, fault.map_writable, fault.hva, _ = __gfn_to_pfn_memslot(
        kvm, slot, fault.gfn, False, False, fault.write
    )
    return RET_PF_CONTINUE


def kvm_faultin_pfn(vcpu: KvmVcpu, fault: KvmPageFault, access: int) -> int:
    """Reads mmu_invalidate_seq, then faults the page in; RET_PF_CONTINUE if it may be mapped."""
    # From 6.2: it reads the count itself, and handles pfns that are errors or have no memslot.
    vcpu.kvm.sched.touch("mmu_invalidate_seq", False)
    # The order matters: an invalidation after this read makes the fault stale.
    fault.mmu_seq = vcpu.kvm.mmu_invalidate_seq
    vcpu.kvm.sched.point(HOST_PAGE_TABLE, False)
    ret = __kvm_faultin_pfn(vcpu, fault)
    if ret != RET_PF_CONTINUE:
        return ret
    if is_error_pfn(fault.pfn):
        return kvm_handle_error_pfn(vcpu, fault)
    if fault.slot is None:
        return kvm_handle_noslot_fault(vcpu, fault, access)
    if not fault.prefetch:
        vcpu.kvm.sched.park_point()
    return RET_PF_CONTINUE


def is_page_fault_stale(vcpu: KvmVcpu, fault: KvmPageFault) -> bool:
    """True if what the fault found out may no longer hold: root obsolete, or page invalidated."""
    kvm = vcpu.kvm
    sp = to_shadow_page(kvm, vcpu.mmu.root.hpa)
    # Special roots, such as pae_root, have no shadow page.
    if sp is not None and is_obsolete_sp(kvm, sp):
        return True
    # For those a pending request is the only hint: it may be for another root.
    if sp is None and kvm_test_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu):
        return True
    return fault.slot is not None and mmu_invalidate_retry_hva(kvm, fault.mmu_seq, fault.hva)


# From 6.2: a handler for each MMU, where 6.1 has one that asks which it is.
def direct_page_fault(vcpu: KvmVcpu, fault: KvmPageFault) -> int:
    """Handles a fault in the legacy MMU; RET_PF_* or -errno."""
    kvm = vcpu.kvm
    if page_fault_handle_page_track(vcpu, fault):
        return RET_PF_EMULATE
    r = fast_page_fault(vcpu, fault)
    if r != RET_PF_INVALID:
        return r
    r = mmu_topup_memory_caches(vcpu)
    if r:
        return r
    r = kvm_faultin_pfn(vcpu, fault, ACC_ALL)
    if r != RET_PF_CONTINUE:
        return r
    orig_pfn = fault.pfn
    r = RET_PF_RETRY
    kvm.mmu_lock.write_lock()
    # From 6.2: shadow pages are made available only for a fault that is not stale.
    if not is_page_fault_stale(vcpu, fault):
        r = make_mmu_pages_available(vcpu)
        if not r:
            r = direct_map(vcpu, fault)
    kvm.mmu_lock.write_unlock()
    kvm_release_pfn_clean(kvm, orig_pfn)
    return r


def kvm_tdp_mmu_page_fault(vcpu: KvmVcpu, fault: KvmPageFault) -> int:
    """Handles a fault in the TDP MMU; RET_PF_* or -errno."""
    kvm = vcpu.kvm
    if page_fault_handle_page_track(vcpu, fault):
        return RET_PF_EMULATE
    r = fast_page_fault(vcpu, fault)
    if r != RET_PF_INVALID:
        return r
    r = mmu_topup_memory_caches(vcpu)
    if r:
        return r
    r = kvm_faultin_pfn(vcpu, fault, ACC_ALL)
    if r != RET_PF_CONTINUE:
        return r
    orig_pfn = fault.pfn
    r = RET_PF_RETRY
    kvm.mmu_lock.read_lock()
    if not is_page_fault_stale(vcpu, fault):
        r = kvm_tdp_mmu_map(vcpu, fault)
    kvm.mmu_lock.read_unlock()
    kvm_release_pfn_clean(kvm, orig_pfn)
    return r


def nonpaging_page_fault(vcpu: KvmVcpu, fault: KvmPageFault) -> int:
    """A fault of a guest without paging and without two-dimensional paging."""
    # A nonpaging guest cannot have 1G pages: PAE page tables have none.
    fault.max_level = PG_LEVEL_2M
    return direct_page_fault(vcpu, fault)


def kvm_tdp_page_fault(vcpu: KvmVcpu, fault: KvmPageFault) -> int:
    """A fault under two-dimensional paging: to the MMU that is in use."""
    if vcpu.kvm.tdp_mmu_enabled:
        return kvm_tdp_mmu_page_fault(vcpu, fault)
    return direct_page_fault(vcpu, fault)


def kvm_mmu_do_page_fault(vcpu: KvmVcpu, cr2_or_gpa: int, err: int, prefetch: bool) -> int:
    """One attempt to handle a fault (mmu_internal.h); RET_PF_* or -errno."""
    kvm = vcpu.kvm
    fault = KvmPageFault(vcpu, cr2_or_gpa, err, prefetch)
    # Left out: MMUs that shadow page tables of the guest. Every MMU of the model is direct.
    fault.gfn = cr2_or_gpa >> 12
    fault.slot = kvm_vcpu_gfn_to_memslot(vcpu, fault.gfn)
    stat = vcpu.stat
    if not prefetch:
        stat.pf_taken += 1
    if not kvm.tdp_enabled:
        if kvm.tdp_mmu_enabled:
            kvm.warn("kvm_mmu_do_page_fault", "nonpaging MMU with the TDP MMU enabled")
        r = nonpaging_page_fault(vcpu, fault)
    else:
        r = kvm_tdp_page_fault(vcpu, fault)
    if r == RET_PF_FIXED:
        stat.pf_fixed += 1
    elif prefetch:
        pass
    elif r == RET_PF_EMULATE:
        stat.pf_emulate += 1
    elif r == RET_PF_SPURIOUS:
        stat.pf_spurious += 1
    return r
