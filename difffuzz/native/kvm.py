# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own KVM with the attributes that difffuzz.kvm's Kvm and KvmVcpu have for others.

Oracles and the side read them as they read the model's; nothing here decides anything.
"""

from __future__ import annotations

import ctypes
from typing import Any

from difffuzz.kvm.vm import VmParams
from difffuzz.machine.host import HostMM
from difffuzz.machine.hw import Cpu, PageFormat, Tlb
from difffuzz.native.host import Host
from difffuzz.native.library import Library
from difffuzz.native.memory import MirroredPageTable, NativeMem, ShadowPage
from difffuzz.native.notifier import NativeNotifier
from difffuzz.native.slots import NativeMemslots
from difffuzz.native.vcpu import NativeVcpu
from difffuzz.sched import RwLock, Scheduler
from difffuzz.sched.locks import Rank

NUMBERS = 16
MMU_VALID_GEN = 11


class NativeStat:
    """struct kvm_vm_stat, the MMU's part."""

    def __init__(self, numbers: Any) -> None:
        self.pages = list(numbers[0:3])
        self.nx_lpage_splits = numbers[3]
        self.mmu_recycled = numbers[5]
        self.remote_tlb_flush_requests = numbers[14]
        self.mmu_shadow_zapped = numbers[15]


class NativeMasks:
    """The shadow_*_mask globals."""

    def __init__(self, numbers: Any) -> None:
        self.shadow_x_mask = numbers[0]
        self.shadow_nx_mask = numbers[1]
        self.shadow_mmu_writable_mask = numbers[2]
        self.shadow_mmio_mask = numbers[3]
        self.shadow_mmio_value = numbers[4]
        self.enable_mmio_caching = bool(numbers[5])
        self.shadow_accessed_mask = numbers[6]
        self.shadow_dirty_mask = numbers[7]


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
        self.logging = [False] * 8
        self._numbers = (ctypes.c_long * NUMBERS)()
        self._splats_seen = 0
        self.mmu_lock = RwLock(sched, "mmu_lock", Rank.MMU_LOCK)
        library.reset(sched, Host(library, mm, self).table)
        native_params = _params(params)
        library.run("create_vm", ctypes.addressof(native_params))
        self._mem = NativeMem(library, sched)
        self.rcu = NativeRcu(library)
        self.srcu = NativeSrcu(library, sched)
        mm.pt = MirroredPageTable(library)
        masks = (ctypes.c_ulong * 8)()
        library.masks(ctypes.addressof(masks))
        self.masks = NativeMasks(masks)
        self.memslots = [NativeMemslots(self, as_id) for as_id in (0, 1)]
        self.splats: list[tuple[str, str]] = []
        mm.register(NativeNotifier(library, self))
        if params.mmu_pages:
            library.run("set_nr_mmu_pages", params.mmu_pages)
        for _ in range(params.vcpus):
            self.create_vcpu()

    def create_vcpu(self) -> None:
        """KVM_CREATE_VCPU."""
        cpu = Cpu(self._mem, _page_format(self.params), Tlb())
        vcpu = NativeVcpu(self, len(self.vcpus), cpu)
        self.vcpus.append(vcpu)
        if self.params.pml:
            cpu.on_dirty = lambda gpa: _log_dirty_gpa(vcpu, gpa)
        self.library.run("create_vcpu")

    def numbers(self) -> Any:
        """The numbers of native_vm_numbers() now."""
        self.library.vm_numbers(ctypes.addressof(self._numbers))
        return self._numbers

    @property
    def mem(self) -> NativeMem:
        """The page tables, up to date."""
        self._mem.sync()
        self._collect_splats()
        return self._mem

    def _collect_splats(self) -> None:
        if self.library.control.nr_splats != self._splats_seen:
            self.splats += self.library.splats()[self._splats_seen :]
            self._splats_seen = self.library.control.nr_splats

    @property
    def stat(self) -> NativeStat:
        """VM statistics."""
        return NativeStat(self.numbers())

    @property
    def tdp_mmu_pages(self) -> int:
        """TDP MMU pages in use."""
        return int(self.numbers()[8])

    @property
    def n_used_mmu_pages(self) -> int:
        """Legacy MMU pages in use."""
        return int(self.numbers()[6])

    @property
    def n_max_mmu_pages(self) -> int:
        """The limit of legacy MMU pages."""
        return int(self.numbers()[7])

    @property
    def mmu_valid_gen(self) -> int:
        """The generation of shadow pages that are not obsolete."""
        return int(self.numbers()[MMU_VALID_GEN])

    def _listed(self, function: Any) -> list[ShadowPage]:
        buffer = self.library.buffer
        self._mem.look()
        found = buffer[: function(ctypes.addressof(buffer), len(buffer))]
        pages = self._mem.pages
        return [pages[pa >> 12].sp for pa in found]

    @property
    def tdp_mmu_roots(self) -> list[ShadowPage]:
        """Roots of the TDP MMU, invalid ones too."""
        return self._listed(self.library.tdp_roots)

    @property
    def active_mmu_pages(self) -> dict[ShadowPage, None]:
        """The legacy MMU's pages, oldest first."""
        return dict.fromkeys(reversed(self._listed(self.library.active_pages)))

    @property
    def possible_nx_huge_pages(self) -> list[ShadowPage]:
        """Pages that NX recovery may zap."""
        return self._listed(self.library.nx_pages)

    @property
    def zapped_obsolete_pages(self) -> list[int]:
        """Not empty if obsolete pages were left over."""
        out = (ctypes.c_long * 3)()
        self.library.leaks(ctypes.addressof(out))
        return [1] * out[1]

    @property
    def retries_by_gfn(self) -> bool:
        """Faults are compared with invalidations by gfn, not by hva."""
        return self.library.retries_by_gfn

    def model_requests(self, requests: int) -> int:
        """KVM_REQ_MMU_FREE_OBSOLETE_ROOTS at the model's bit, which is all that oracles ask for."""
        return 1 << 2 if requests >> self.library.free_obsolete_roots & 1 else 0


def _page_format(params: VmParams) -> PageFormat:
    if not params.tdp:
        return PageFormat.PAE
    if not params.ept:
        return PageFormat.NPT
    return PageFormat.EPT if params.ad else PageFormat.EPT_NO_AD


def param_values(params: VmParams) -> list[int]:
    """The members of struct native_params."""
    return [
        params.tdp,
        params.tdp and params.tdp_mmu,
        params.tdp and params.ept,
        params.ad,
        params.root_level,
        params.max_level,
        params.nx_huge_pages,
        params.mmio_caching,
        params.eager_page_split,
        params.pml,
        params.manual_dirty_log_protect,
        params.dirty_log_init_set,
        params.async_pf,
        params.range_flush,
        params.mmu_invalidate_seq,
        *params.generations,
    ]


def _params(params: VmParams) -> Any:
    """struct native_params."""
    values = param_values(params)
    return (ctypes.c_long * len(values))(*[int(value) for value in values])


def _log_dirty_gpa(vcpu: NativeVcpu, gpa: int) -> None:
    """The CPU set a dirty bit: it logs the page, if it logs."""
    if vcpu.pml_enabled:
        vcpu.pml.append(gpa)
