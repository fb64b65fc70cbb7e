# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own KVM with the attributes that difffuzz.kvm's Kvm and KvmVcpu have for others.

Oracles and the side read them as they read the model's; nothing here decides anything.
"""

from __future__ import annotations

import ctypes
from array import array

from difffuzz.facts.kvm import KVM_REQ_MMU_FREE_OBSOLETE_ROOTS
from difffuzz.kvm.vm import VmParams
from difffuzz.machine.gva import GvaCpu
from difffuzz.machine.host import HostMM
from difffuzz.machine.hw import Cpu, PageFormat, Tlb
from difffuzz.native.abi.limits import VCPUS
from difffuzz.native.abi.view import Counts, Leaks, Masks, VmNumbers
from difffuzz.native.host import Host
from difffuzz.native.library import Exported, Library
from difffuzz.native.memory import MirroredPageTable, NativeMem, ShadowPage
from difffuzz.native.notifier import NativeNotifier
from difffuzz.native.params import param_numbers
from difffuzz.native.slots import NativeMemslots
from difffuzz.native.vcpu import NativeVcpu
from difffuzz.program.limits import N_AS
from difffuzz.program.model import GUESTS, NESTED
from difffuzz.sched import KernelSplat, RwLock, Scheduler
from difffuzz.sched.locks import Rank


class NativeStat:
    """struct kvm_vm_stat, the MMU's part."""

    def __init__(self, numbers: VmNumbers) -> None:
        self.pages = [numbers.pages_4k, numbers.pages_2m, numbers.pages_1g]
        self.nx_lpage_splits = numbers.nx_lpage_splits
        self.mmu_recycled = numbers.mmu_recycled
        self.remote_tlb_flush_requests = numbers.remote_tlb_flush_requests
        self.mmu_shadow_zapped = numbers.mmu_shadow_zapped


class NativeRcu:
    """Deferred frees."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def run_callbacks(self) -> None:
        """The end of an operation: nothing is held, and callbacks that may run do."""
        self._library.run("end_operation")


class NativeSrcu:
    """kvm->srcu as a vCPU's thread takes it around KVM_RUN."""

    def __init__(self, library: Library, sched: Scheduler) -> None:
        self._library = library
        self._sched = sched

    def read_lock(self) -> int:
        """Enters; returns the vCPU as what to leave by."""
        vcpu = max(self._sched.current.number, 0)
        self._library.run("vcpu_srcu_lock", vcpu)
        return vcpu

    def read_unlock(self, idx: int) -> None:
        """Leaves."""
        self._library.run("vcpu_srcu_unlock", idx)


class NativeKvm:
    """struct kvm.  `tdp_mmu`: which MMU; the rest as in VmParams."""

    def __init__(self, library: Library, sched: Scheduler, mm: HostMM, params: VmParams) -> None:
        self.library = library
        self.sched = sched
        self.mm = mm
        self.tdp_enabled = params.tdp
        self.tdp_mmu_enabled = params.tdp and params.tdp_mmu
        self.params = params
        self.vcpus: list[NativeVcpu] = []
        self.logging = [False] * VCPUS
        self._numbers = VmNumbers()
        self._numbers_at = ctypes.addressof(self._numbers)
        self._splats_seen = 0
        self.mmu_lock = RwLock(sched, "mmu_lock", Rank.MMU_LOCK)
        host = Host(library, mm, self.mmu_lock, self.vcpus, self.logging)
        library.reset(sched, host.table)
        numbers = array("l", param_numbers(params))
        library.run("create_vm", numbers.buffer_info()[0])
        self._mem = NativeMem(library, sched)
        self.rcu = NativeRcu(library)
        self.srcu = NativeSrcu(library, sched)
        mm.pt = MirroredPageTable(library)
        self.masks = Masks()
        library.export("masks")(ctypes.addressof(self.masks))
        self.memslots = [NativeMemslots(library, self.numbers, as_id) for as_id in range(N_AS)]
        self._splats: list[tuple[str, str]] = []
        mm.register(NativeNotifier(library))
        if params.mmu_pages:
            library.run("set_nr_mmu_pages", params.mmu_pages)
        for _ in range(params.vcpus):
            self.create_vcpu()

    def create_vcpu(self) -> None:
        """KVM_CREATE_VCPU."""
        fmt = _page_format(self.params).of_cpu(self.params.maxphyaddr)
        cpu = Cpu(self._mem, fmt, Tlb())
        vcpu = NativeVcpu(self, len(self.vcpus), cpu)
        if self.params.guest and not self.params.tdp:
            vcpu.gva = GvaCpu(self._mem)
        if GUESTS[self.params.guest] in NESTED:
            # What it caches of an L2 is told apart by the root of the EPT, under NPT by nothing.
            vcpu.l2 = Cpu(self._mem, cpu.fmt, Tlb(), tag_roots=self.params.ept)
        self.vcpus.append(vcpu)
        if self.params.pml:
            cpu.on_dirty = lambda gpa: _log_dirty_gpa(vcpu, gpa)
        self.library.run("create_vcpu")

    def numbers(self) -> VmNumbers:
        """Its numbers now; the next call changes them."""
        self.library.vm_numbers(self._numbers_at)
        return self._numbers

    @property
    def mem(self) -> NativeMem:
        """The page tables, up to date."""
        self._mem.sync()
        return self._mem

    @property
    def splats(self) -> list[tuple[str, str]]:
        """WARNs that nobody has taken note of."""
        if self.library.control.nr_splats != self._splats_seen:
            self._splats += self.library.splats()[self._splats_seen :]
            self._splats_seen = self.library.control.nr_splats
        return self._splats

    @property
    def stat(self) -> NativeStat:
        """VM statistics."""
        return NativeStat(self.numbers())

    @property
    def tdp_mmu_pages(self) -> int:
        """TDP MMU pages in use."""
        return self.numbers().tdp_mmu_pages

    @property
    def n_used_mmu_pages(self) -> int:
        """Legacy MMU pages in use."""
        return self.numbers().n_used_mmu_pages

    @property
    def n_max_mmu_pages(self) -> int:
        """The limit of legacy MMU pages."""
        return self.numbers().n_max_mmu_pages

    @property
    def mmu_valid_gen(self) -> int:
        """The generation of shadow pages that are not obsolete."""
        return self.numbers().mmu_valid_gen

    def _listed(self, function: Exported, name: str) -> list[ShadowPage]:
        buffer = self.library.buffer
        self._mem.look()
        found = buffer[: function(ctypes.addressof(buffer), len(buffer))]
        pages = self._mem.pages
        try:
            return [pages[pa >> 12].sp for pa in found]
        except KeyError:
            text = "a page table that was freed is on the list"
            raise KernelSplat("uaf", name, text) from None

    @property
    def tdp_mmu_roots(self) -> list[ShadowPage]:
        """Roots of the TDP MMU, invalid ones too."""
        return self._listed(self.library.tdp_roots, "tdp_mmu_roots")

    @property
    def active_mmu_pages(self) -> dict[ShadowPage, None]:
        """The legacy MMU's pages, oldest first."""
        return dict.fromkeys(reversed(self._listed(self.library.active_pages, "active_mmu_pages")))

    @property
    def possible_nx_huge_pages(self) -> list[ShadowPage]:
        """Pages that NX recovery may zap."""
        return self._listed(self.library.nx_pages, "possible_nx_huge_pages")

    @property
    def counts(self) -> list[tuple[str, int, int]]:
        """Each counter that is kept beside a list: its name, what it says, what is on the list."""
        found = Counts()
        self.library.export("counts")(ctypes.addressof(found))
        return [
            ("nx_pages_of_legacy", found.nx_legacy_counted, found.nx_legacy_listed),
            ("nx_pages_of_tdp", found.nx_tdp_counted, found.nx_tdp_listed),
            ("nr_memslots_dirty_logging", found.logging_counted, found.logging_there),
            ("nr_memslot_pages", found.pages_counted, found.pages_there),
        ]

    @property
    def zapped_obsolete_pages(self) -> list[int]:
        """Not empty if obsolete pages were left over."""
        return [1] * self._leaks().zapped_obsolete_pages

    @property
    def unprotected_reads(self) -> int:
        """How often memslots were read without SRCU and without slots_lock."""
        return self._leaks().unprotected_reads

    def _leaks(self) -> Leaks:
        left = Leaks()
        self.library.export("leaks")(ctypes.addressof(left))
        return left

    @property
    def retries_by_gfn(self) -> bool:
        """Faults are compared with invalidations by gfn, not by hva."""
        return self.masks.retries_by_gfn

    @property
    def tells_accessed(self) -> bool:
        """The host is told of the accessed bit of an SPTE that goes."""
        return self.masks.tells_accessed

    def model_requests(self, requests: int) -> int:
        """KVM_REQ_MMU_FREE_OBSOLETE_ROOTS at the model's bit, which is all that oracles ask for."""
        pending = requests >> self.library.free_obsolete_roots & 1
        return KVM_REQ_MMU_FREE_OBSOLETE_ROOTS if pending else 0


def _page_format(params: VmParams) -> PageFormat:
    if not params.tdp:
        return PageFormat.PAE
    if not params.ept:
        return PageFormat.NPT
    return PageFormat.EPT if params.ad else PageFormat.EPT_NO_AD


def _log_dirty_gpa(vcpu: NativeVcpu, gpa: int) -> None:
    """The CPU set a dirty bit: it logs the page, if it logs."""
    if vcpu.pml_enabled:
        vcpu.pml.append(gpa)
