# SPDX-License-Identifier: GPL-2.0-only
"""What a KVM offers to the side that runs a program on it: the seam.

difffuzz.kvm has these functions in modules of the same names; difffuzz.native.kvm_functions has
them over the kernel's own code.  `V` is the VM of such a package and `C` its vCPU: a package takes
its own only.  Results of ioctls are 0 or -errno.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from difffuzz.kvm.vm import VmParams
from difffuzz.machine.host import HostMM
from difffuzz.sched import Scheduler
from difffuzz.sides.kvm_state import Kvm, Vcpu
from difffuzz.sides.machine import PageTableMemory

C_contra = TypeVar("C_contra", bound=Vcpu, contravariant=True)
V_contra = TypeVar("V_contra", bound=Kvm, contravariant=True)
V = TypeVar("V", bound=Kvm)


class X86(Protocol[C_contra]):
    """arch/x86/kvm/x86.c: entering the guest, faults, emulation, modes.

    A gpa is in bytes.
    """

    def vcpu_enter_guest(self, vcpu: C_contra, /) -> int:
        """Serves requests, loads the MMU, enters the guest; 0 or -errno."""

    def vcpu_exit_guest(self, vcpu: C_contra, /) -> None:
        """Leaves the guest."""

    def kvm_mmu_page_fault(self, vcpu: C_contra, gpa: int, error_code: int, /) -> int:
        """Handles one fault; RET_PF_* or -errno, also noted in `vcpu.results`."""

    def x86_emulate_access(
        self, vcpu: C_contra, gpa: int, write: bool, value: int, /
    ) -> int | None:
        """The emulator's access: what was read or written, None for an MMIO exit."""

    def kvm_vcpu_pre_fault_memory(self, vcpu: C_contra, gfn: int, npages: int, /) -> int:
        """KVM_PRE_FAULT_MEMORY; 0 or -errno: -EINVAL from a kernel that has none."""

    def kvm_smm_changed(self, vcpu: C_contra, entering_smm: bool, /) -> None:
        """The vCPU enters or leaves SMM."""

    def nested_guest_mode(self, vcpu: C_contra, entering: bool, /) -> None:
        """The vCPU enters or leaves an L2 without nested paging."""


class Vm(Protocol[V]):
    """The VM's life, and the ioctls and module parameters that concern the MMU."""

    def kvm_create_vm(
        self, sched: Scheduler, mm: HostMM, params: VmParams, mem: PageTableMemory | None, /
    ) -> V:
        """KVM_CREATE_VM with its vCPUs; registers the mmu notifier with `mm`.

        `mem`: the memory of the page tables, None for the VM's own.  UsageError from a KVM that
        can have no other.
        """

    def kvm_destroy_vm(self, kvm: V, /) -> None:
        """The last reference goes."""

    def kvm_create_vcpu(self, kvm: V, /) -> object:
        """KVM_CREATE_VCPU"""

    def kvm_vm_ioctl_set_nr_mmu_pages(self, kvm: V, nr_pages: int, /) -> int:
        """KVM_SET_NR_MMU_PAGES"""

    def page_track(self, kvm: V, as_id: int, gfn: int, add: bool, /) -> bool:
        """Begins or ends tracking writes to a page; False if it cannot."""

    def param_attr_store_nx(self, kvm: V, enabled: bool, /) -> None:
        """The module parameter nx_huge_pages."""

    def zap_gfn_range(self, kvm: V, start: int, end: int, /) -> None:
        """kvm_zap_gfn_range() of [start, end)."""


class MemslotUpdate(Protocol[V_contra]):
    """KVM_SET_USER_MEMORY_REGION."""

    def kvm_set_memory_region(
        self, kvm: V_contra, as_id: int, slot: int, gfn: int, npages: int, hva: int, flags: int, /
    ) -> int:
        """Makes, moves or changes a slot; deletes it if `npages` is 0."""


class DirtyLog(Protocol[V_contra]):
    """KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG."""

    def kvm_vm_ioctl_get_dirty_log(
        self, kvm: V_contra, as_id: int, slot: int, /
    ) -> tuple[int, dict[int, int] | None]:
        """The result, and the words of 64 pages that are not 0, by number."""

    def kvm_vm_ioctl_clear_dirty_log(
        self, kvm: V_contra, as_id: int, slot: int, first: int, n: int, /
    ) -> int:
        """Clears the bits of n pages from page `first` of the slot."""


class MmuRoots(Protocol[C_contra]):
    """kvm_mmu_reset_context()."""

    def kvm_mmu_reset_context(self, vcpu: C_contra, /) -> None:
        """Drops the vCPU's roots."""


class MmuZap(Protocol[V_contra]):
    """The recovery of NX huge pages."""

    def kvm_recover_nx_huge_pages(self, kvm: V_contra, /) -> None:
        """One pass of the recovery worker."""


class KvmPackage(Protocol[V, C_contra]):
    """All of it."""

    @property
    def x86(self) -> X86[C_contra]:
        """Guests run."""

    @property
    def vm(self) -> Vm[V]:
        """VMs come and go."""

    @property
    def memslot_update(self) -> MemslotUpdate[V]:
        """Memslots change."""

    @property
    def dirty_log(self) -> DirtyLog[V]:
        """Dirty logs are read."""

    @property
    def mmu_roots(self) -> MmuRoots[C_contra]:
        """Roots are dropped."""

    @property
    def mmu_zap(self) -> MmuZap[V]:
        """Huge pages are recovered."""


AnyPackage = KvmPackage[Kvm, Vcpu]
"""A package whose VMs are handed back to it and to nobody else."""
