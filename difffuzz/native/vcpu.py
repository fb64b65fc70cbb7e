# SPDX-License-Identifier: GPL-2.0-only
"""A vCPU of the kernel's own KVM with the attributes of difffuzz.kvm's KvmVcpu."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from difffuzz.machine.hw import Cpu

if TYPE_CHECKING:
    from difffuzz.native.kvm import NativeKvm


class NativeRoot:
    """struct kvm_mmu_root_info."""

    __slots__ = ("hpa",)

    def __init__(self, hpa: int) -> None:
        self.hpa = hpa


class NativeMmu:
    """struct kvm_mmu of a vCPU, as it is now."""

    __slots__ = ("prev_roots", "root", "root_role")

    def __init__(self, numbers: Any) -> None:
        self.root = NativeRoot(numbers[0])
        self.root_role = RootRole(numbers[1])
        self.prev_roots = [NativeRoot(hpa) for hpa in numbers[9:12]]


class RootRole:
    """The level of a root."""

    __slots__ = ("level",)

    def __init__(self, level: int) -> None:
        self.level = level


class VcpuStat:
    """struct kvm_vcpu_stat, the MMU's part."""

    __slots__ = ("_vcpu",)
    NAMES = ("pf_taken", "pf_fixed", "pf_emulate", "pf_spurious", "pf_fast", "pf_mmio_spte_created")

    def __init__(self, vcpu: NativeVcpu) -> None:
        self._vcpu = vcpu

    def __getattr__(self, name: str) -> int:
        return int(self._vcpu.numbers()[3 + self.NAMES.index(name)])


class NativeVcpu:
    """struct kvm_vcpu, and the CPU it runs on."""

    __slots__ = (
        "_numbers",
        "_read",
        "cpu",
        "guest_mode",
        "kvm",
        "pml",
        "pml_enabled",
        "results",
        "rets",
        "sigbus",
        "smm",
        "srcu_idx",
        "stat",
        "tlb_ranges",
        "vcpu_id",
    )

    def __init__(self, kvm: NativeKvm, vcpu_id: int, cpu: Cpu) -> None:
        self.kvm = kvm
        self.vcpu_id = vcpu_id
        self.cpu = cpu
        self.stat = VcpuStat(self)
        self.srcu_idx = vcpu_id
        self.smm = False
        self.guest_mode = False
        self.sigbus = False
        self.pml: list[int] = []
        self.pml_enabled = False
        self.tlb_ranges: list[tuple[int, int]] = []
        self.results: list[int] = []
        self.rets = (ctypes.c_long * 2)()
        self._numbers = (ctypes.c_long * 12)()
        self._read = kvm.library.vcpu_numbers

    def numbers(self) -> Any:
        """The numbers of native_vcpu_numbers() now."""
        self._read(self.vcpu_id, ctypes.addressof(self._numbers))
        return self._numbers

    @property
    def mmu(self) -> NativeMmu:
        """Its MMU context."""
        return NativeMmu(self.numbers())

    @property
    def requests(self) -> int:
        """Pending requests; of those that the model has, at the model's bits."""
        return self.kvm.model_requests(self.numbers()[2])
