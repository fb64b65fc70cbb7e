# SPDX-License-Identifier: GPL-2.0-only
"""Both KVMs offer what a side calls and what oracles read: mypy is what checks this file."""

from __future__ import annotations

import difffuzz.kvm.dirty_log
import difffuzz.kvm.memslot_update
import difffuzz.kvm.mmu_roots
import difffuzz.kvm.mmu_zap
import difffuzz.kvm.vm
import difffuzz.kvm.x86
from difffuzz.kvm.kvm_host import Kvm, KvmMmuPage, KvmVcpu
from difffuzz.machine.host import HostMM
from difffuzz.machine.spt import PhysMem
from difffuzz.native.kvm import NativeKvm
from difffuzz.native.kvm_functions import NativePackage
from difffuzz.native.vcpu import NativeVcpu
from difffuzz.program import Config
from difffuzz.sides import KvmFactory, kvm_package, kvm_state, open_side
from difffuzz.sides.machine import Machine

X86: kvm_package.X86[KvmVcpu] = difffuzz.kvm.x86
VM: kvm_package.Vm[Kvm] = difffuzz.kvm.vm
MEMSLOT_UPDATE: kvm_package.MemslotUpdate[Kvm] = difffuzz.kvm.memslot_update
DIRTY_LOG: kvm_package.DirtyLog[Kvm] = difffuzz.kvm.dirty_log
MMU_ROOTS: kvm_package.MmuRoots[KvmVcpu] = difffuzz.kvm.mmu_roots
MMU_ZAP: kvm_package.MmuZap[Kvm] = difffuzz.kvm.mmu_zap


def the_model(kvm: Kvm, vcpu: KvmVcpu) -> tuple[kvm_state.Kvm, kvm_state.Vcpu]:
    return kvm, vcpu


def the_kernel(
    package: NativePackage, kvm: NativeKvm, vcpu: NativeVcpu
) -> tuple[kvm_package.KvmPackage[NativeKvm, NativeVcpu], kvm_state.Kvm, kvm_state.Vcpu]:
    return package, kvm, vcpu


class NotedHost(HostMM):
    """A host that is told apart."""

    __slots__ = ()


class NotedMem(PhysMem[KvmMmuPage]):
    """Page tables that are told apart."""

    __slots__ = ()


def test_a_side_runs_on_the_machine_that_it_is_given() -> None:
    factory = open_side("tdp@v6.12")
    assert isinstance(factory, KvmFactory)
    noted = factory.start(Config(), machine=Machine(NotedHost, NotedMem))
    assert isinstance(noted.mm, NotedHost)
    assert isinstance(noted.kvm.mem, NotedMem)
    plain = factory.start(Config())
    assert not isinstance(plain.mm, NotedHost)
    assert not isinstance(plain.kvm.mem, NotedMem)
