# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: entering the guest, handling its faults, emulating what cannot be mapped."""

from __future__ import annotations

from difffuzz.facts.errno import EIO
from difffuzz.facts.paging import PFERR_RSVD_MASK

from .async_pf import async_pf_execute
from .kvm_host import (
    EXITING_GUEST_MODE,
    IN_GUEST_MODE,
    KVM_REQ_APF_HALT,
    KVM_REQ_LOAD_MMU_PGD,
    KVM_REQ_MMU_FREE_OBSOLETE_ROOTS,
    KVM_REQ_TLB_FLUSH,
    KVM_REQ_TLB_FLUSH_CURRENT,
    KVM_REQ_TLB_FLUSH_RANGE,
    KVM_REQ_UPDATE_CPU_DIRTY_LOGGING,
    OUTSIDE_GUEST_MODE,
    KvmVcpu,
)
from .kvm_main import kvm_check_request
from .memslots import gfn_to_hva_many, kvm_vcpu_gfn_to_memslot, kvm_vcpu_mark_page_dirty
from .mmu import handle_mmio_page_fault, kvm_mmu_do_page_fault, mmio_info_in_cache
from .mmu_internal import RET_PF_EMULATE, RET_PF_INVALID, RET_PF_RETRY
from .mmu_roots import (
    kvm_init_mmu,
    kvm_mmu_free_obsolete_roots,
    kvm_mmu_new_pgd,
    kvm_mmu_reload,
    kvm_mmu_reset_context,
)
from .prefault import kvm_vcpu_pre_fault_memory as kvm_vcpu_pre_fault_memory
from .vmx import vmx_flush_pml_buffer, vmx_update_cpu_dirty_logging


def vcpu_serve_requests(vcpu: KvmVcpu) -> None:
    """What vcpu_enter_guest() does about pending requests, in its order."""
    vcpu.kvm.sched.point(("requests", vcpu.vcpu_id))
    if not vcpu.requests:
        return
    tlb = vcpu.cpu.tlb
    if kvm_check_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu):
        kvm_mmu_free_obsolete_roots(vcpu)
    kvm_check_request(KVM_REQ_LOAD_MMU_PGD, vcpu)
    if kvm_check_request(KVM_REQ_TLB_FLUSH, vcpu):
        tlb.flush_all()
        vcpu.tlb_ranges.clear()
        kvm_check_request(KVM_REQ_TLB_FLUSH_CURRENT | KVM_REQ_TLB_FLUSH_RANGE, vcpu)
    if kvm_check_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu):
        tlb.flush_all()
    if kvm_check_request(KVM_REQ_TLB_FLUSH_RANGE, vcpu):
        for start_gfn, pages in vcpu.tlb_ranges:
            tlb.flush_range(start_gfn, pages)
        vcpu.tlb_ranges.clear()
    if kvm_check_request(KVM_REQ_APF_HALT, vcpu):
        vcpu.apf_halted = True
    if kvm_check_request(KVM_REQ_UPDATE_CPU_DIRTY_LOGGING, vcpu):
        vmx_update_cpu_dirty_logging(vcpu)


def kvm_check_async_pf_completion(vcpu: KvmVcpu) -> None:
    """Maps the pages that workers faulted in."""
    while vcpu.apf_gfns:
        async_pf_execute(vcpu, vcpu.apf_gfns[0])
    while vcpu.apf_done:
        gfn = vcpu.apf_done.pop(0)
        if not kvm_mmu_reload(vcpu):
            kvm_mmu_do_page_fault(vcpu, gfn << 12, 0, True)
    vcpu.apf_halted = False


def vcpu_enter_guest(vcpu: KvmVcpu) -> int:
    """Serves the requests, loads the MMU and enters the guest, outside of SRCU; 0 or -errno.

    From the change of mode on, whoever makes a request that must be seen waits for the exit.
    """
    sched = vcpu.kvm.sched
    while True:
        if vcpu.apf_gfns or vcpu.apf_done:
            kvm_check_async_pf_completion(vcpu)
        vcpu_serve_requests(vcpu)
        r = kvm_mmu_reload(vcpu)
        if r:
            return r
        sched.store(("mode", vcpu.vcpu_id), vcpu, "mode", IN_GUEST_MODE)
        # A full barrier: the change of mode is seen before the requests are looked at.
        vcpu.kvm.srcu.read_unlock(vcpu.srcu_idx)
        # kvm_vcpu_exit_request()
        sched.point(("requests", vcpu.vcpu_id), False)
        if vcpu.mode != EXITING_GUEST_MODE and not vcpu.requests:
            return 0
        vcpu_leave_guest_mode(vcpu)


def vcpu_leave_guest_mode(vcpu: KvmVcpu) -> None:
    """Back in the host: interrupts are taken, memslots may be used."""
    vcpu.kvm.sched.point(("mode", vcpu.vcpu_id))
    vcpu.mode = OUTSIDE_GUEST_MODE
    vcpu.ipis += 1
    vcpu.srcu_idx = vcpu.kvm.srcu.read_lock()


def vcpu_exit_guest(vcpu: KvmVcpu) -> None:
    """Leaves the guest; what every exit does first: empties the CPU's log of dirty pages."""
    vcpu_leave_guest_mode(vcpu)
    if vcpu.pml:
        vmx_flush_pml_buffer(vcpu)


def kvm_mmu_page_fault(vcpu: KvmVcpu, cr2_or_gpa: int, error_code: int) -> int:
    """Handles one fault; RET_PF_* or -errno, which is also noted in `vcpu.results`."""
    kvm = vcpu.kvm
    if vcpu.mmu.root.hpa < 0:
        kvm.warn("kvm_mmu_page_fault", "no root")
        return RET_PF_RETRY
    r = RET_PF_INVALID
    if error_code & PFERR_RSVD_MASK:
        r = handle_mmio_page_fault(vcpu, cr2_or_gpa, True)
        vcpu.results.append(r)
        if r == RET_PF_EMULATE:
            return r
    if r == RET_PF_INVALID:
        r = kvm_mmu_do_page_fault(vcpu, cr2_or_gpa, error_code, False)
        vcpu.results.append(r)
        if r == RET_PF_INVALID:
            kvm.warn("kvm_mmu_page_fault", "fault left unhandled")
            return -EIO
    # Left out: kvm_mmu_unprotect_page(), for writes of the CPU's own walk; guests here have no
    # tables.
    return r


def x86_emulate_access(vcpu: KvmVcpu, gpa: int, write: bool, value: int) -> int | None:
    """The emulator's access to `gpa`: the value read or written, None for an MMIO exit."""
    kvm = vcpu.kvm
    gfn = gpa >> 12
    # vcpu_is_mmio_gpa()
    if mmio_info_in_cache(vcpu, gpa, True):
        return None
    slot = kvm_vcpu_gfn_to_memslot(vcpu, gfn)
    addr = gfn_to_hva_many(slot, gfn, write)
    if addr < 0:
        return None
    if not write:
        return kvm.mm.copy_from_user(addr)
    if not kvm.mm.copy_to_user(addr, value):
        return None
    kvm_vcpu_mark_page_dirty(vcpu, gfn)
    return value


def kvm_smm_changed(vcpu: KvmVcpu, entering_smm: bool) -> None:
    """The vCPU enters or leaves SMM, and with it the other address space."""
    if vcpu.smm == entering_smm:
        return
    vcpu.smm = entering_smm
    kvm_mmu_reset_context(vcpu)


def nested_guest_mode(vcpu: KvmVcpu, entering: bool) -> None:
    """The vCPU enters or leaves an L2 without nested paging: the same gpas under another root."""
    if vcpu.guest_mode == entering:
        return
    vcpu.guest_mode = entering
    kvm_init_mmu(vcpu)
    kvm_mmu_new_pgd(vcpu)
    if vcpu.kvm.cpu_dirty_log_size:
        vmx_update_cpu_dirty_logging(vcpu)
    # L1 and L2 have different ASIDs: what one cached the other does not use.
    vcpu.cpu.tlb.flush_all()
