# SPDX-License-Identifier: GPL-2.0-only
"""A vCPU of the kernel's own KVM with the attributes of difffuzz.kvm's KvmVcpu."""

from __future__ import annotations

import ctypes
from typing import Protocol

from difffuzz.machine.gva import GvaCpu
from difffuzz.machine.host import HostMM
from difffuzz.machine.hw import Cpu
from difffuzz.native.abi.calls import FaultRets
from difffuzz.native.abi.view import VcpuNumbers, VcpuStat
from difffuzz.native.library import Library
from difffuzz.sched import Scheduler


class Vm(Protocol):
    """What a vCPU and its thread use of the VM that it belongs to."""

    library: Library
    sched: Scheduler
    mm: HostMM

    def model_requests(self, requests: int) -> int:
        """Pending requests of the library, at the model's bits."""


class NativeRoot:
    """struct kvm_mmu_root_info."""

    __slots__ = ("hpa",)

    def __init__(self, hpa: int) -> None:
        self.hpa = hpa


class NativeMmu:
    """struct kvm_mmu of a vCPU, as it is now."""

    __slots__ = ("prev_roots", "root", "root_role")

    def __init__(self, numbers: VcpuNumbers) -> None:
        self.root = NativeRoot(numbers.root_hpa)
        self.root_role = RootRole(numbers.root_level)
        self.prev_roots = [NativeRoot(hpa) for hpa in numbers.prev_roots]


class RootRole:
    """The level of a root."""

    __slots__ = ("level",)

    def __init__(self, level: int) -> None:
        self.level = level


class NativeVcpu:
    """struct kvm_vcpu, and the CPU it runs on."""

    __slots__ = (
        "_at",
        "_numbers",
        "_read",
        "cpu",
        "guest_mode",
        "gva",
        "kvm",
        "l2",
        "pml",
        "pml_enabled",
        "results",
        "rets",
        "sigbus",
        "smm",
        "srcu_idx",
        "tlb_ranges",
        "vcpu_id",
    )

    def __init__(self, kvm: Vm, vcpu_id: int, cpu: Cpu) -> None:
        self.kvm = kvm
        self.vcpu_id = vcpu_id
        self.cpu = cpu
        self.gva: GvaCpu | None = None
        """The CPU without nested paging, for a guest whose page tables are shadowed."""
        self.l2: Cpu | None = None
        """The CPU as it runs an L2 under tables of L1's."""
        self.srcu_idx = vcpu_id
        self.smm = False
        self.guest_mode = False
        self.sigbus = False
        self.pml: list[int] = []
        self.pml_enabled = False
        self.tlb_ranges: list[tuple[int, int]] = []
        self.results: list[int] = []
        self.rets = FaultRets()
        self._numbers = VcpuNumbers()
        self._at = ctypes.addressof(self._numbers)
        self._read = kvm.library.vcpu_numbers

    def numbers(self) -> VcpuNumbers:
        """Its numbers now; the next call changes them."""
        self._read(self.vcpu_id, self._at)
        return self._numbers

    @property
    def stat(self) -> VcpuStat:
        """Its statistics; they change when they are read again."""
        return self.numbers().stat

    @property
    def mmu(self) -> NativeMmu:
        """Its MMU context."""
        return NativeMmu(self.numbers())

    @property
    def requests(self) -> int:
        """Pending requests; of those that the model has, at the model's bits."""
        return self.kvm.model_requests(self.numbers().requests)
