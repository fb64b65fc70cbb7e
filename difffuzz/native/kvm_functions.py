# SPDX-License-Identifier: GPL-2.0-only
"""The functions of difffuzz.kvm that a side calls, done by the kernel's own code.

A NativePackage stands where KvmSide expects the package with the model: same names, same values.
"""

from __future__ import annotations

import ctypes
from struct import iter_unpack

from difffuzz.errors import UsageError
from difffuzz.kvm.vm import VmParams
from difffuzz.machine.host import HostMM
from difffuzz.native.abi.calls import FN
from difffuzz.native.abi.limits import NOTHING_RETURNED
from difffuzz.native.abi.view import DirtyBitmap
from difffuzz.native.kvm import NativeKvm
from difffuzz.native.library import Library
from difffuzz.native.vcpu import NativeVcpu
from difffuzz.sched import Scheduler

Words = ctypes.Array[ctypes.c_uint64]
ENTER, LEAVE, FAULT = FN["enter_guest"], FN["leave_guest"], FN["page_fault"]


class X86:
    """arch/x86/kvm/x86.c: entering the guest, faults, emulation, modes."""

    @staticmethod
    def vcpu_enter_guest(vcpu: NativeVcpu) -> int:
        """Serves requests, loads the MMU, enters the guest; 0 or -errno."""
        return vcpu.kvm.library.call(ENTER, vcpu.vcpu_id)

    @staticmethod
    def vcpu_exit_guest(vcpu: NativeVcpu) -> None:
        """Leaves the guest and empties the CPU's log of dirty pages."""
        library = vcpu.kvm.library
        library.call(LEAVE, vcpu.vcpu_id)
        if vcpu.pml:
            for gpa in vcpu.pml:
                library.run("mark_dirty", vcpu.vcpu_id, gpa >> 12)
            vcpu.pml.clear()

    @staticmethod
    def kvm_mmu_page_fault(vcpu: NativeVcpu, gpa: int, error_code: int) -> int:
        """Handles one fault; RET_PF_* or -errno, also noted in `vcpu.results`."""
        library, rets = vcpu.kvm.library, vcpu.rets
        park = int(vcpu.kvm.sched.current.want_park or library.control.concurrent)
        rets.mmio = rets.fault = NOTHING_RETURNED
        r = library.call(FAULT, vcpu.vcpu_id, gpa, error_code, ctypes.addressof(rets), park)
        vcpu.results += [ret for ret in (rets.mmio, rets.fault) if ret != NOTHING_RETURNED]
        return r

    @staticmethod
    def x86_emulate_access(vcpu: NativeVcpu, gpa: int, write: bool, value: int) -> int | None:
        """The emulator's access: the value read or written, None for an MMIO exit."""
        kvm = vcpu.kvm
        hva = kvm.library.run("emulated_hva", vcpu.vcpu_id, gpa, write)
        if hva < 0:
            return None
        if not write:
            return kvm.mm.copy_from_user(hva)
        if not kvm.mm.copy_to_user(hva, value):
            return None
        kvm.library.run("mark_dirty", vcpu.vcpu_id, gpa >> 12)
        return value

    @staticmethod
    def kvm_vcpu_pre_fault_memory(vcpu: NativeVcpu, gfn: int, npages: int) -> int:
        """KVM_PRE_FAULT_MEMORY; 0 or -errno."""
        return vcpu.kvm.library.run("prefault", vcpu.vcpu_id, gfn, npages)

    @staticmethod
    def kvm_smm_changed(vcpu: NativeVcpu, entering_smm: bool) -> None:
        """The vCPU enters or leaves SMM."""
        if vcpu.smm != entering_smm:
            vcpu.smm = entering_smm
            vcpu.kvm.library.run("smm", vcpu.vcpu_id, entering_smm)

    @staticmethod
    def nested_guest_mode(vcpu: NativeVcpu, entering: bool) -> None:
        """The vCPU enters or leaves an L2 without nested paging."""
        if vcpu.guest_mode != entering:
            vcpu.guest_mode = entering
            vcpu.kvm.library.run("guest_mode", vcpu.vcpu_id, entering)
            vcpu.cpu.tlb.flush_all()


class Vm:
    """The VM's life and its knobs.  `library` is where the next VM lives."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def kvm_create_vm(
        self, sched: Scheduler, mm: HostMM, params: VmParams, mem: object | None = None
    ) -> NativeKvm:
        """KVM_CREATE_VM with its vCPUs.  UsageError for page tables outside of the library."""
        if mem is not None:
            raise UsageError("what the kernel's own code does to its page tables cannot be noted")
        return NativeKvm(self._library, sched, mm, params)

    @staticmethod
    def kvm_destroy_vm(kvm: NativeKvm) -> None:
        """The last reference goes."""
        kvm.library.run("destroy_vm")
        kvm.vcpus.clear()

    @staticmethod
    def kvm_create_vcpu(kvm: NativeKvm) -> None:
        """KVM_CREATE_VCPU."""
        kvm.create_vcpu()

    @staticmethod
    def kvm_vm_ioctl_set_nr_mmu_pages(kvm: NativeKvm, nr_pages: int) -> int:
        """KVM_SET_NR_MMU_PAGES"""
        return kvm.library.run("set_nr_mmu_pages", nr_pages)

    @staticmethod
    def page_track(kvm: NativeKvm, as_id: int, gfn: int, add: bool) -> bool:
        """Begins or ends tracking writes to a page; False if it cannot."""
        return bool(kvm.library.run("page_track", as_id, gfn, add))

    @staticmethod
    def param_attr_store_nx(kvm: NativeKvm, enabled: bool) -> None:
        """A write to the module parameter nx_huge_pages."""
        kvm.library.run("set_nx", enabled)

    @staticmethod
    def zap_gfn_range(kvm: NativeKvm, start: int, end: int) -> None:
        """kvm_zap_gfn_range()"""
        kvm.library.run("zap_gfn_range", start, end - start)


class MemslotUpdate:
    """KVM_SET_USER_MEMORY_REGION."""

    @staticmethod
    def kvm_set_memory_region(
        kvm: NativeKvm, as_id: int, slot: int, gfn: int, npages: int, hva: int, flags: int
    ) -> int:
        """0 or -errno."""
        return kvm.library.run("set_memory_region", as_id, slot, gfn, npages, hva, flags)


class DirtyLog:
    """KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG."""

    @staticmethod
    def kvm_vm_ioctl_get_dirty_log(
        kvm: NativeKvm, as_id: int, slot: int
    ) -> tuple[int, dict[int, int] | None]:
        """0 or -errno, and the words of the bitmap that are not 0, by number."""
        bitmap = DirtyBitmap()
        r = kvm.library.run("get_dirty_log", as_id, slot, ctypes.addressof(bitmap))
        if r:
            return r, {}
        data = ctypes.string_at(bitmap.words, bitmap.nr_words * ctypes.sizeof(ctypes.c_uint64))
        if not data.strip(b"\0"):
            return r, {}
        return r, {i: word for i, (word,) in enumerate(iter_unpack("=Q", data)) if word}

    @staticmethod
    def kvm_vm_ioctl_clear_dirty_log(
        kvm: NativeKvm, as_id: int, slot: int, first: int, n: int
    ) -> int:
        """Clears the bits of n pages from `first`; 0 or -errno."""
        words = _words(n)
        ctypes.memset(words, 0xFF, ctypes.sizeof(words))
        return kvm.library.run("clear_dirty_log", as_id, slot, ctypes.addressof(words), first, n)


def _words(npages: int) -> Words:
    return (ctypes.c_uint64 * ((npages + 63) // 64 + 1))()


class MmuRoots:
    """kvm_mmu_reset_context()."""

    @staticmethod
    def kvm_mmu_reset_context(vcpu: NativeVcpu) -> None:
        """Drops the vCPU's roots."""
        vcpu.kvm.library.run("reset_context", vcpu.vcpu_id)


class MmuZap:
    """The recovery of NX huge pages."""

    @staticmethod
    def kvm_recover_nx_huge_pages(kvm: NativeKvm) -> None:
        """One pass of the recovery worker."""
        kvm.library.run("recover_nx")


class NativePackage:
    """What KvmSide calls difffuzz.kvm, over one instance of a library."""

    x86 = X86
    memslot_update = MemslotUpdate
    dirty_log = DirtyLog
    mmu_roots = MmuRoots
    mmu_zap = MmuZap

    def __init__(self, library: Library) -> None:
        self.library = library
        self.vm = Vm(library)
