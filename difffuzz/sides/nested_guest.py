# SPDX-License-Identifier: GPL-2.0-only
"""An L1 that runs an L2 under an EPT or NPT of its own: what they do, on the kernel's code.

L1 itself reaches memory by gpa through KVM's tables, its own paging is left out.  An access by
address is one of L2, which has no paging: the address is a gpa of L2, which L1's tables map, and
KVM shadows these.  L2 is entered for its first access and left for the next thing that L1 does.
"""

from __future__ import annotations

from typing import Final

from difffuzz.machine.two_dimensional import Walked
from difffuzz.native.guest import NO_FAULT
from difffuzz.native.vcpu import NativeVcpu
from difffuzz.program import Kind
from difffuzz.program.guest_tables import DIRECT_BASE, ROOTS, TABLES
from difffuzz.sides.base import DONE, NOTHING, Outcome
from difffuzz.sides.paging_guest import Access, PagingGuest

OF_L2: Final = frozenset({Kind.GVA_READ, Kind.GVA_WRITE, Kind.GVA_EXEC})


class NestedGuest(PagingGuest):
    """L1 and L2 of one VM, under NPT.  L1's faults have values of GuestCalls.take_l2_fault()."""

    __slots__ = ()

    nested = True

    def run(self, kind: Kind, vcpu_id: int, args: tuple[int, ...], number: int) -> Outcome:
        """One instruction of L1 or L2."""
        vcpu = self._kvm.vcpus[vcpu_id]
        if kind in OF_L2:
            return self._in_l2(vcpu, kind, args, number)
        self._leave(vcpu)
        made = self.access_of(kind, args, number)
        if made is not None:
            made.gva -= DIRECT_BASE
            return self._access(vcpu, made)
        if not self._enter_once(vcpu):
            return Outcome(NOTHING)
        registers = self.of(vcpu_id)
        if kind == Kind.CR3:
            registers.root = TABLES[ROOTS[args[0]]]
            return Outcome(DONE)
        idx = self._kvm.srcu.read_lock()
        if kind == Kind.TOGGLE:
            self._toggle(vcpu, registers, args[0])
        else:
            self._invalidate(vcpu, registers.root << 12)
        self._kvm.srcu.read_unlock(idx)
        return Outcome(DONE)

    def _invalidate(self, vcpu: NativeVcpu, root: int) -> None:
        """L1's next VMRUN has TLB_CONTROL flush L2's ASID: KVM does so at each."""

    def _in_l2(self, vcpu: NativeVcpu, kind: Kind, args: tuple[int, ...], number: int) -> Outcome:
        if not vcpu.guest_mode:
            if not self._enter_once(vcpu):
                return Outcome(NOTHING)
            idx = self._kvm.srcu.read_lock()
            self._calls.enter_l2(vcpu, self.of(vcpu.vcpu_id).root << 12, vcpu.cpu.fmt.ad)
            self._kvm.srcu.read_unlock(idx)
            vcpu.guest_mode = True
        made = self.access_of(kind, args, number)
        assert made is not None
        made.user = False
        return self._access(vcpu, made)

    def _leave(self, vcpu: NativeVcpu) -> None:
        """L2 exits to L1, if it runs."""
        if vcpu.guest_mode:
            idx = self._kvm.srcu.read_lock()
            self._exit_l2(vcpu)
            self._kvm.srcu.read_unlock(idx)

    def _exit_l2(self, vcpu: NativeVcpu) -> None:
        self._calls.leave_l2(vcpu)
        vcpu.guest_mode = False

    def _translate(self, vcpu: NativeVcpu, made: Access) -> Walked:
        cpu = vcpu.l2 if vcpu.guest_mode else vcpu.cpu
        assert cpu is not None
        mmu = vcpu.mmu
        pfn = cpu.translate(mmu.root.hpa, mmu.root_role.level, made.gva, made.access)
        return Walked(pfn, gpa=made.gva, access=made.access)

    def _error_code(self, vcpu: NativeVcpu) -> int:
        cpu = vcpu.l2 if vcpu.guest_mode else vcpu.cpu
        assert cpu is not None
        return cpu.error_code

    def _take_fault(self, vcpu: NativeVcpu) -> int:
        """The exit to L1 that L2's access ends in."""
        fault = self._calls.take_l2_fault(vcpu)
        if fault == NO_FAULT:
            return super()._take_fault(vcpu)
        if vcpu.guest_mode:  # inside KVM_RUN: SRCU is held
            self._exit_l2(vcpu)
        return fault


class EptGuest(NestedGuest):
    """L1 has an EPT for L2, and invalidates it by INVEPT; `root`: gpa of its top table."""

    __slots__ = ()

    ept = True

    def _invalidate(self, vcpu: NativeVcpu, root: int) -> None:
        self._calls.invept(vcpu, root)
