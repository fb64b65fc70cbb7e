# SPDX-License-Identifier: GPL-2.0-only
"""The modelled KVM from outside: what user space does through its file descriptors.

The VM's life, its vCPUs, and the ioctls and module parameters that concern the MMU.
"""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn
from difffuzz.facts.errno import EINVAL
from difffuzz.facts.paging import FOUR_LEVEL_BITS, MAXPHYADDR
from difffuzz.machine.host import HostMM
from difffuzz.machine.hw import Cpu, PageFormat, Tlb
from difffuzz.machine.spt import PhysMem
from difffuzz.sched import Scheduler

from . import mmu_slot, mmu_zap
from .kvm_host import (
    KVM_ADDRESS_SPACE_NUM,
    KVM_MIN_ALLOC_MMU_PAGES,
    Kvm,
    KvmMemslots,
    KvmMmuPage,
    KvmVcpu,
)
from .memslots import search_memslots
from .mmu_notifier import KvmGfnRange, KvmMmuNotifier
from .mmu_page import kvm_mmu_change_mmu_pages
from .mmu_roots import kvm_init_mmu, kvm_mmu_create, kvm_mmu_destroy
from .page_track import slot_track_count
from .page_track_write import kvm_slot_page_track_add_page, kvm_slot_page_track_remove_page
from .spte_masks import SpteMasks
from .tdp_mmu import kvm_mmu_uninit_tdp_mmu
from .vmx import PML_ENTITY_NUM, vmx_log_dirty_gpa, vmx_update_cpu_dirty_logging

# Otherwise: the least limit on shadow pages is 8; the kernel wants 64, which no program reaches.
MIN_REQUESTED_MMU_PAGES = 8


class MmuHandlersOf:
    """The MMU's part of the notifiers (MmuHandlers), bound late so that patches take effect."""

    @staticmethod
    def kvm_unmap_gfn_range(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
        """Unmaps a range; True if a flush is due."""
        return mmu_slot.kvm_unmap_gfn_range(kvm, gfn_range)

    @staticmethod
    def kvm_set_spte_gfn(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
        """Maps another page; True if a flush is due."""
        return mmu_slot.kvm_set_spte_gfn(kvm, gfn_range)

    @staticmethod
    def kvm_age_gfn(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
        """Clears the accessed state; True if it was set."""
        return mmu_slot.kvm_age_gfn(kvm, gfn_range)

    @staticmethod
    def kvm_test_age_gfn(kvm: Kvm, gfn_range: KvmGfnRange) -> bool:
        """True if the range was accessed."""
        return mmu_slot.kvm_test_age_gfn(kvm, gfn_range)

    @staticmethod
    def kvm_mmu_zap_all(kvm: Kvm) -> None:
        """Drops every mapping of the VM."""
        mmu_zap.kvm_mmu_zap_all(kvm)


class VmParams:
    """How the VM, its module and its CPU are set up; see program.Config for the meaning."""

    __slots__ = (
        "ad",
        "async_pf",
        "before_wrap",
        "dirty_log_init_set",
        "eager_page_split",
        "ept",
        "four_levels",
        "guest",
        "manual_dirty_log_protect",
        "max_level",
        "maxphyaddr",
        "mmio_caching",
        "mmu_invalidate_seq",
        "mmu_pages",
        "nx_huge_pages",
        "nx_recovery_ratio",
        "pml",
        "range_flush",
        "root_level",
        "slot_zap_all",
        "tdp",
        "tdp_mmu",
        "vcpus",
    )

    def __init__(self) -> None:
        self.tdp = True
        self.tdp_mmu = False
        self.ept = True
        self.ad = True
        self.root_level = 4
        """Levels that the CPU's nested paging has; the host's own tables have as many."""
        self.maxphyaddr = MAXPHYADDR
        self.four_levels = 0
        """vCPUs, bit n for vCPU n, that user space gives a MAXPHYADDR of 48 bits by their CPUID."""
        self.max_level = 3
        self.vcpus = 1
        self.nx_huge_pages = False
        self.nx_recovery_ratio = 1
        self.slot_zap_all = True
        self.guest = 0
        """Place in program.model.GUESTS; the model has no guest with page tables of its own."""
        self.mmio_caching = True
        self.eager_page_split = True
        self.pml = False
        self.manual_dirty_log_protect = False
        self.dirty_log_init_set = False
        self.mmu_pages = 0
        self.async_pf = False
        self.range_flush = False
        self.mmu_invalidate_seq = 0
        self.before_wrap = (0, 0)
        """Memslot generations until those of MMIO SPTEs wrap, by address space; 0: all of them."""


def kvm_create_vm(
    sched: Scheduler, mm: HostMM, params: VmParams, mem: PhysMem[KvmMmuPage] | None = None
) -> Kvm:
    """KVM_CREATE_VM, with its vCPUs; registers the mmu notifier with `mm`.

    `mem` is the memory of the page tables, if they are not to lie in one of the VM's own.
    """
    ept = params.tdp and params.ept
    masks = SpteMasks(ept, params.ad, params.mmio_caching, params.maxphyaddr)
    kvm = Kvm(sched, mm, masks, mem)
    kvm.tdp_enabled = params.tdp
    kvm.tdp_mmu_enabled = params.tdp and params.tdp_mmu
    kvm.maxphyaddr = params.maxphyaddr
    kvm.four_levels = params.four_levels
    # kvm_configure_mmu()
    kvm.tdp_root_level = 0 if ept else params.root_level
    kvm.max_tdp_level = params.root_level
    kvm.max_huge_page_level = params.max_level
    kvm.nx_huge_pages = params.nx_huge_pages
    kvm.nx_huge_pages_recovery_ratio = params.nx_recovery_ratio
    kvm.slot_zap_all = params.slot_zap_all
    kvm.eager_page_split = params.eager_page_split
    kvm.cpu_dirty_log_size = PML_ENTITY_NUM if params.pml else 0
    kvm.manual_dirty_log_protect = params.manual_dirty_log_protect
    kvm.dirty_log_init_set = params.dirty_log_init_set
    kvm.enable_async_pf = params.async_pf
    kvm.range_flush = params.range_flush
    kvm.mmu_invalidate_seq = params.mmu_invalidate_seq
    kvm.n_max_mmu_pages = KVM_MIN_ALLOC_MMU_PAGES
    for as_id in range(KVM_ADDRESS_SPACE_NUM):
        # The low bit of the generation is the address space.
        generation = (-params.before_wrap[as_id] & masks.mmio_gen_mask) + as_id
        sets = [KvmMemslots(node_idx, generation) for node_idx in range(2)]
        kvm.memslots_sets.append(sets)
        kvm.memslots.append(sets[0])
    mm.register(KvmMmuNotifier(kvm, MmuHandlersOf()))
    if params.mmu_pages:
        kvm_vm_ioctl_set_nr_mmu_pages(kvm, params.mmu_pages)
    for _ in range(params.vcpus):
        kvm_create_vcpu(kvm)
    return kvm


def page_format(kvm: Kvm) -> PageFormat:
    """The page table format that the CPU walks."""
    return entry_format(kvm).of_cpu(kvm.maxphyaddr)


def entry_format(kvm: Kvm) -> PageFormat:
    """That of its entries."""
    if not kvm.tdp_enabled:
        return PageFormat.PAE
    m = kvm.masks
    if m.shadow_acc_track_mask:
        return PageFormat.EPT if m.shadow_accessed_mask else PageFormat.EPT_NO_AD
    return PageFormat.NPT


def kvm_create_vcpu(kvm: Kvm) -> KvmVcpu:
    """KVM_CREATE_VCPU."""
    cpu = Cpu(kvm.mem, page_format(kvm), Tlb())
    vcpu = KvmVcpu(kvm, len(kvm.vcpus), cpu)
    if kvm.cpu_dirty_log_size:
        cpu.on_dirty = lambda gpa: vmx_log_dirty_gpa(vcpu, gpa)
    kvm_mmu_create(vcpu)
    # KVM_SET_CPUID2: kvm_vcpu_after_set_cpuid(), before the vCPU has run.
    if kvm.four_levels >> vcpu.vcpu_id & 1:
        vcpu.maxphyaddr = FOUR_LEVEL_BITS
    kvm_init_mmu(vcpu)
    if kvm.cpu_dirty_log_size:
        vmx_update_cpu_dirty_logging(vcpu)
    kvm.vcpus.append(vcpu)
    return vcpu


def kvm_destroy_vm(kvm: Kvm) -> None:
    """The last reference to the VM goes; the host address space was released before."""
    kvm.users_count = 0
    for vcpu in kvm.vcpus:
        kvm_mmu_destroy(vcpu)
        vcpu.cpu.on_dirty = None
    # Nothing of the VM refers to itself any more: memory goes at once, without a collector.
    kvm.vcpus.clear()
    if kvm.tdp_mmu_enabled:
        kvm_mmu_uninit_tdp_mmu(kvm)
    kvm.rcu.barrier()


def kvm_vm_ioctl_set_nr_mmu_pages(kvm: Kvm, nr_pages: int) -> int:
    """KVM_SET_NR_MMU_PAGES: limits the legacy MMU's shadow pages; 0 or -EINVAL."""
    if nr_pages < MIN_REQUESTED_MMU_PAGES:
        return -EINVAL
    kvm.slots_lock.lock()
    kvm_mmu_change_mmu_pages(kvm, nr_pages)
    kvm.n_requested_mmu_pages = kvm.n_max_mmu_pages
    kvm.slots_lock.unlock()
    return 0


def param_attr_store_nx(kvm: Kvm, enabled: bool) -> None:
    """A write to /sys/module/kvm/parameters/nx_huge_pages (kernel/params.c).

    Writes to a module's parameters exclude each other.
    """
    # Left out: kvm_lock around the walk of all VMs. Nobody else takes it here, inside param_lock.
    kvm.param_lock.lock()
    set_nx_huge_pages(kvm, enabled)
    kvm.param_lock.unlock()


def set_nx_huge_pages(kvm: Kvm, enabled: bool) -> None:
    """The module parameter nx_huge_pages: a change zaps everything."""
    if kvm.nx_huge_pages == enabled:
        return
    kvm.sched.touch("nx_huge_pages")
    kvm.nx_huge_pages = enabled
    kvm.slots_lock.lock()
    mmu_zap.kvm_mmu_zap_all_fast(kvm)
    kvm.slots_lock.unlock()


def zap_gfn_range(kvm: Kvm, start: int, end: int) -> None:
    """What a change of MTRRs or of APIC virtualisation does to [start, end)."""
    idx = kvm.srcu.read_lock()
    mmu_zap.kvm_zap_gfn_range(kvm, start, end)
    kvm.srcu.read_unlock(idx)


def page_track(kvm: Kvm, as_id: int, gfn: Gfn, add: bool) -> bool:
    """An external user (a vGPU driver) begins or ends tracking writes; False if it cannot."""
    idx = kvm.srcu.read_lock()
    slot = search_memslots(kvm.memslots[as_id], gfn)
    done = False
    if slot is not None:
        kvm.mmu_lock.write_lock()
        # Who tracks keeps its own table, under mmu_lock, and removes only what it added.
        done = add or slot_track_count(slot, gfn) > 0
        if add:
            kvm_slot_page_track_add_page(kvm, slot, gfn)
        elif done:
            kvm_slot_page_track_remove_page(kvm, slot, gfn)
        kvm.mmu_lock.write_unlock()
    kvm.srcu.read_unlock(idx)
    return done
