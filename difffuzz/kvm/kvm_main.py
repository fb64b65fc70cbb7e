# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c: requests, TLB flushes, memory caches, and from a gfn to its pfn."""

from __future__ import annotations

from functools import partial

from difffuzz.facts.addresses import Gfn, Pfn
from difffuzz.facts.errno import EAGAIN, EFAULT, EHWPOISON
from difffuzz.machine.host import VM_IO, VM_PFNMAP, VM_READ, VM_WRITE, Vma, pte_pfn, pte_write
from difffuzz.sched import KernelSplat

from .kvm_host import (
    EXITING_GUEST_MODE,
    IN_GUEST_MODE,
    KVM_ARCH_NR_OBJS_PER_MEMORY_CACHE,
    KVM_MEM_READONLY,
    KVM_REQ_TLB_FLUSH,
    KVM_REQ_TLB_FLUSH_RANGE,
    OUTSIDE_GUEST_MODE,
    Kvm,
    KvmMemorySlot,
    KvmMmuMemoryCache,
    KvmVcpu,
)
from .memslots import KVM_HVA_ERR_RO_BAD, gfn_to_hva_many

KVM_PFN_ERR_MASK = 0x7FF << 52
KVM_PFN_NOSLOT = 1 << 63
KVM_PFN_ERR_FAULT = KVM_PFN_ERR_MASK
KVM_PFN_ERR_HWPOISON = KVM_PFN_ERR_MASK + 1
KVM_PFN_ERR_RO_FAULT = KVM_PFN_ERR_MASK + 2


def is_error_pfn(pfn: Pfn) -> bool:
    """True for KVM_PFN_ERR_*."""
    return pfn & KVM_PFN_ERR_MASK != 0


def is_noslot_pfn(pfn: Pfn) -> bool:
    """True where no slot is."""
    return pfn == KVM_PFN_NOSLOT


def is_error_noslot_pfn(pfn: Pfn) -> bool:
    """True if there is no page behind the pfn."""
    return pfn & (KVM_PFN_ERR_MASK | KVM_PFN_NOSLOT) != 0


def kvm_make_request(req: int, vcpu: KvmVcpu) -> None:
    """Asks the vCPU to do `req` before it enters the guest again."""
    vcpu.kvm.sched.point(("requests", vcpu.vcpu_id))
    vcpu.requests |= req


def kvm_test_request(req: int, vcpu: KvmVcpu) -> bool:
    """True if `req` is pending."""
    vcpu.kvm.sched.touch(("requests", vcpu.vcpu_id), False)
    return vcpu.requests & req != 0


def kvm_check_request(req: int, vcpu: KvmVcpu) -> bool:
    """True if `req` was pending; it no longer is."""
    if vcpu.requests & req:
        vcpu.requests &= ~req
        return True
    return False


def kvm_request_needs_ipi(vcpu: KvmVcpu) -> bool:
    """True if the vCPU's CPU must be interrupted before the request can count as made.

    It is in guest mode, or it walks page tables with interrupts off.  Every request of the model
    that is made of all vCPUs is one with KVM_REQUEST_WAIT.
    """
    # cmpxchg(): a full barrier between the request and the look at the mode.
    vcpu.kvm.sched.fence()
    vcpu.kvm.sched.touch(("mode", vcpu.vcpu_id))
    mode = vcpu.mode
    if mode == IN_GUEST_MODE:
        vcpu.mode = EXITING_GUEST_MODE
    return mode != OUTSIDE_GUEST_MODE


def took_ipi(vcpu: KvmVcpu, ipis: int) -> bool:
    """True once the vCPU's CPU took an interrupt after its `ipis` first ones."""
    return vcpu.ipis != ipis


def kvm_kick_many_cpus(kvm: Kvm, kicked: list[tuple[KvmVcpu, int]]) -> None:
    """Waits until each vCPU took its interrupt; `kicked` has how many it had taken before."""
    for vcpu, ipis in kicked:
        kvm.sched.wait(f"vcpu{vcpu.vcpu_id} to exit", partial(took_ipi, vcpu, ipis))


def kvm_make_all_cpus_request(kvm: Kvm, req: int) -> None:
    """Makes a request of every vCPU; none is in the guest any more that has not seen it."""
    kicked = []
    for vcpu in kvm.vcpus:
        kvm_make_request(req, vcpu)
        if kvm_request_needs_ipi(vcpu):
            kicked.append((vcpu, vcpu.ipis))
    if kicked:
        kvm_kick_many_cpus(kvm, kicked)


def kvm_flush_remote_tlbs(kvm: Kvm) -> None:
    """No vCPU uses a translation that was cached before this call."""
    kvm.stat.remote_tlb_flush_requests += 1
    kvm_make_all_cpus_request(kvm, KVM_REQ_TLB_FLUSH)


def kvm_available_flush_tlb_with_range(kvm: Kvm) -> bool:
    """True under a hypervisor that flushes ranges (Hyper-V)."""
    return kvm.range_flush


def kvm_flush_remote_tlbs_with_address(kvm: Kvm, start_gfn: Gfn, pages: int) -> None:
    """Flushes the gfns [start_gfn, start_gfn + pages), or everything where ranges are unknown."""
    if not kvm.range_flush:
        kvm_flush_remote_tlbs(kvm)
        return
    for vcpu in kvm.vcpus:
        vcpu.tlb_ranges.append((start_gfn, pages))
    kvm_make_all_cpus_request(kvm, KVM_REQ_TLB_FLUSH_RANGE)


def kvm_mmu_topup_memory_cache(kvm: Kvm, mc: KvmMmuMemoryCache, minimum: int) -> int:
    """Fills the cache if it has less than `minimum` objects; may sleep."""
    if mc.nobjs >= minimum:
        return 0
    kvm.sched.might_sleep("kvm_mmu_topup_memory_cache")
    # Left out: a cache that cannot be filled (-ENOMEM). There is always memory; an empty cache is a
    # finding.
    mc.nobjs = max(KVM_ARCH_NR_OBJS_PER_MEMORY_CACHE, minimum)
    return 0


def kvm_mmu_memory_cache_alloc(kvm: Kvm, mc: KvmMmuMemoryCache) -> None:
    """Takes an object; an empty cache means that somebody forgot to fill it."""
    if not mc.nobjs:
        kvm.warn("kvm_mmu_memory_cache_alloc", "cache is empty")
        return
    mc.nobjs -= 1


def kvm_release_pfn_clean(kvm: Kvm, pfn: Pfn) -> None:
    """Drops the reference that faulting the pfn in took."""
    if not is_error_noslot_pfn(pfn) and kvm_pfn_to_refcounted_page(kvm, pfn):
        kvm_set_pfn_accessed(kvm, pfn)
        kvm.mm.put_page(pfn)


def kvm_pfn_to_refcounted_page(kvm: Kvm, pfn: Pfn) -> bool:
    """True if the host counts references to the page: the zero page is reserved, but counted."""
    return not kvm.mm.frames.is_device(pfn)


def kvm_is_ad_tracked_page(kvm: Kvm, pfn: Pfn) -> bool:
    """True if the host wants to know of accesses and writes; of a page that was freed, never."""
    frames = kvm.mm.frames
    if frames.reserved(pfn):
        return False
    if frames.is_free(pfn):
        raise KernelSplat("uaf", "kvm_is_ad_tracked_page", "the page was freed")
    return True


def kvm_set_pfn_accessed(kvm: Kvm, pfn: Pfn) -> None:
    """Tells the host that the page was accessed."""
    if kvm_is_ad_tracked_page(kvm, pfn):
        kvm.mm.mark_page_accessed(pfn)


def kvm_set_pfn_dirty(kvm: Kvm, pfn: Pfn) -> None:
    """Tells the host that the page was written."""
    if kvm_is_ad_tracked_page(kvm, pfn):
        kvm.mm.set_page_dirty(pfn)


def hva_to_pfn_fast(
    kvm: Kvm, addr: int, write_fault: bool, has_writable: bool
) -> tuple[bool, bool, int]:
    """Without mmap_lock, for a page that is mapped writable: (found, writable, pfn)."""
    if not (write_fault or has_writable):
        return False, False, 0
    pfn = kvm.mm.get_user_page_fast_only(addr, True)
    if pfn >= 0:
        return True, True, pfn
    return False, False, 0


def hva_to_pfn_slow(
    kvm: Kvm, addr: int, nowait: bool, write_fault: bool, has_writable: bool
) -> tuple[int, bool, int]:
    """Faults the page in: (number of pages or -errno, writable, pfn)."""
    kvm.sched.might_sleep("hva_to_pfn_slow")
    npages, pfn = kvm.mm.get_user_pages_unlocked(addr, write_fault, nowait)
    if npages != 1:
        return npages, write_fault, 0
    writable = write_fault
    # A page that was read may be mapped writable all the same.
    if not write_fault and has_writable:
        wpfn = kvm.mm.get_user_page_fast_only(addr, True)
        if wpfn >= 0:
            writable = True
            kvm.mm.put_page(pfn)
            pfn = wpfn
    return 1, writable, pfn


def vma_is_valid(vma: Vma, write_fault: bool) -> bool:
    """True if the access is one that the mapping permits."""
    if not vma.flags & VM_READ:
        return False
    return not (write_fault and not vma.flags & VM_WRITE)


def kvm_try_get_pfn(kvm: Kvm, pfn: Pfn) -> bool:
    """A reference to the page, if any are counted; False where the count is 0."""
    frames = kvm.mm.frames
    if not kvm_pfn_to_refcounted_page(kvm, pfn):
        return True
    if not frames.page_count(pfn):
        return False
    frames.get(pfn)
    return True


def hva_to_pfn_remapped(kvm: Kvm, addr: int, write_fault: bool) -> tuple[int, bool, int]:
    """A page of a mapping without struct page: (0 or -errno, writable, pfn)."""
    mm = kvm.mm
    pte = mm.follow_pte(addr)
    if not pte:
        r = mm.fixup_user_fault(addr, write_fault)
        if r:
            return r, False, 0
        pte = mm.follow_pte(addr)
        if not pte:
            return -EAGAIN, False, 0
    if write_fault and not pte_write(pte):
        return 0, False, KVM_PFN_ERR_RO_FAULT
    # A driver's tail pages have struct pages, but their counts say nothing.
    if not kvm_try_get_pfn(kvm, pte_pfn(pte)):
        return -EFAULT, pte_write(pte), pte_pfn(pte)
    return 0, pte_write(pte), pte_pfn(pte)


def hva_to_pfn(
    kvm: Kvm, addr: int, atomic: bool, nowait: bool, write_fault: bool, has_writable: bool
) -> tuple[int, bool, bool]:
    """The pfn behind `addr`: (pfn or KVM_PFN_ERR_*, writable, the page must be waited for)."""
    mm = kvm.mm
    found, writable, pfn = hva_to_pfn_fast(kvm, addr, write_fault, has_writable)
    if found:
        return pfn, writable, False
    if atomic:
        return KVM_PFN_ERR_FAULT, False, False
    npages, writable, pfn = hva_to_pfn_slow(kvm, addr, nowait, write_fault, has_writable)
    if npages == 1:
        return pfn, writable, False
    mm.mmap_lock.down_read()
    try:
        if npages == -EHWPOISON or (not nowait and mm.check_user_page_hwpoison(addr)):
            return KVM_PFN_ERR_HWPOISON, writable, False
        while True:
            vma = mm.vma_lookup(addr)
            if vma is None:
                return KVM_PFN_ERR_FAULT, writable, False
            if vma.flags & (VM_IO | VM_PFNMAP):
                r, writable, pfn = hva_to_pfn_remapped(kvm, addr, write_fault)
                if r == -EAGAIN:
                    continue
                return (KVM_PFN_ERR_FAULT if r < 0 else pfn), writable, False
            return KVM_PFN_ERR_FAULT, writable, nowait and vma_is_valid(vma, write_fault)
    finally:
        mm.mmap_lock.up_read()


def __gfn_to_pfn_memslot(
    kvm: Kvm, slot: KvmMemorySlot | None, gfn: Gfn, atomic: bool, nowait: bool, write_fault: bool
) -> tuple[int, bool, int, bool]:
    """__gfn_to_pfn_memslot(): (pfn or error, host-writable, hva, the page must be waited for)."""
    addr = gfn_to_hva_many(slot, gfn, write_fault)
    if addr == KVM_HVA_ERR_RO_BAD:
        return KVM_PFN_ERR_RO_FAULT, False, addr, False
    if addr < 0:
        return KVM_PFN_NOSLOT, False, addr, False
    assert slot is not None
    if slot.flags & KVM_MEM_READONLY:
        pfn, _, wait = hva_to_pfn(kvm, addr, atomic, nowait, write_fault, False)
        return pfn, False, addr, wait
    pfn, writable, wait = hva_to_pfn(kvm, addr, atomic, nowait, write_fault, True)
    return pfn, writable, addr, wait


def gfn_to_page_many_atomic(kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, nr_pages: int) -> list[int]:
    """The pfns of `nr_pages` gfns, up to the first that the host does not map writable."""
    addr = gfn_to_hva_many(slot, gfn, True)
    if addr < 0:
        return []
    if slot.npages - (gfn - slot.base_gfn) < nr_pages:
        return []
    pfns: list[int] = []
    for i in range(nr_pages):
        pfn = kvm.mm.get_user_page_fast_only(addr + (i << 12), True)
        if pfn < 0:
            break
        pfns.append(pfn)
    return pfns
