# SPDX-License-Identifier: GPL-2.0-only
"""Guests with page tables of their own: what their instructions do, on the kernel's own code.

The legacy MMU shadows the tables, and the CPU walks those of KVM by address; under the TDP MMU the
CPU walks the guest's tables through KVM's.  A #PF ends the operation: it is its result.
"""

from __future__ import annotations

from typing import Final

from difffuzz.facts.kvm import RET_PF_EMULATE, RET_PF_RETRY
from difffuzz.machine.frames import FREED_DATA
from difffuzz.machine.host import HostMM
from difffuzz.machine.pageformat import EXEC, READ, WRITE
from difffuzz.machine.two_dimensional import Registers, Walked, Walker
from difffuzz.machine.user_access import store_word, user_store
from difffuzz.native.guest import NO_FAULT, GuestCalls
from difffuzz.native.kvm import NativeKvm
from difffuzz.native.kvm_functions import X86
from difffuzz.native.vcpu import NativeVcpu
from difffuzz.program import Kind
from difffuzz.program.guest_tables import DIRECT_BASE, GVAS, ROOTS, TABLES, entry_gpa
from difffuzz.program.limits import GUEST_ATTEMPTS, MAX_SLOTS, area_base
from difffuzz.sched import Scheduler
from difffuzz.sides.base import DONE, ERROR, FAULT, MMIO, NOTHING, OK, SIGBUS, STUCK, Outcome
from difffuzz.sides.guest_memory import entry_value, first_pages

ACCESS_OF: Final = {
    Kind.GVA_READ: READ,
    Kind.GVA_WRITE: WRITE,
    Kind.GVA_EXEC: EXEC,
    Kind.READ: READ,
    Kind.WRITE: WRITE,
    Kind.EXEC: EXEC,
}


class Access:
    """One access of an instruction.  `word` is what a write writes, `slowly` how."""

    __slots__ = ("access", "gva", "slowly", "user", "word")

    def __init__(self, gva: int, access: int, user: bool, word: int, slowly: bool = False) -> None:
        self.gva = gva
        self.access = access
        self.user = user
        self.word = word
        self.slowly = slowly


def access_of(kind: Kind, args: tuple[int, ...], number: int, ept: bool = False) -> Access | None:
    """The access that an operation makes; None if it makes none.  `number`: what data is.

    `ept`: tables are those of an EPT."""
    if kind in (Kind.GVA_READ, Kind.GVA_WRITE, Kind.GVA_EXEC):
        return Access(GVAS[args[0]], ACCESS_OF[kind], bool(args[1]), number)
    if kind in ACCESS_OF:
        return Access(DIRECT_BASE + (args[0] << 12), ACCESS_OF[kind], False, number)
    if kind == Kind.PTE:
        entry, target, flags, how = args
        where = DIRECT_BASE + entry_gpa(entry)
        return Access(where, WRITE, False, entry_value(target, flags, ept), bool(how))
    return None


class PagingGuest:
    """The guest of one VM."""

    __slots__ = ("_calls", "_kvm", "_mm", "_sched", "_x86", "registers")

    ept = False
    """Its tables are those of an EPT."""
    nested = False
    """It is an L1, and its tables are for an L2."""

    def __init__(self, kvm: NativeKvm, mm: HostMM, sched: Scheduler) -> None:
        self._x86 = X86()
        self._kvm = kvm
        self._mm = mm
        self._sched = sched
        self._calls = GuestCalls(kvm.library)
        self.registers: dict[int, Registers] = {}

    def load(self) -> None:
        """Puts the tables where they are when the guest begins: behind the home slot."""
        for gfn, number, words in first_pages(self.nested):
            self._mm.contents.learn(number, words)
            self._mm.copy_to_user(area_base(0) + (gfn << 12), number)

    def of(self, vcpu_id: int) -> Registers:
        """The registers of a vCPU."""
        return self.registers.setdefault(vcpu_id, Registers())

    def access_of(self, kind: Kind, args: tuple[int, ...], number: int) -> Access | None:
        """The access that an operation makes; None if it makes none."""
        return access_of(kind, args, number, self.ept)

    def run(self, kind: Kind, vcpu_id: int, args: tuple[int, ...], number: int) -> Outcome:
        """One instruction of a vCPU."""
        vcpu = self._kvm.vcpus[vcpu_id]
        made = self.access_of(kind, args, number)
        if made is not None:
            return self._access(vcpu, made)
        registers = self.of(vcpu_id)
        if not self._enter_once(vcpu) and kind == Kind.INVLPG:
            return Outcome(NOTHING)
        # Who cannot enter the guest, for its root is no memory, can set its registers.
        idx = self._kvm.srcu.read_lock()
        if kind == Kind.INVLPG:
            if vcpu.gva is not None:
                self._calls.invlpg(vcpu, GVAS[args[0]])
        elif kind == Kind.CR3:
            registers.root = TABLES[ROOTS[args[0]]]
            self._calls.set_cr3(vcpu, registers.root << 12)
        else:
            self._toggle(vcpu, registers, args[0])
        self._kvm.srcu.read_unlock(idx)
        return Outcome(DONE)

    def _enter_once(self, vcpu: NativeVcpu) -> bool:
        """The guest gets to the instruction: requests are served and a root is loaded."""
        vcpu.srcu_idx = self._kvm.srcu.read_lock()
        r = self._x86.vcpu_enter_guest(vcpu)
        if not r:
            self._x86.vcpu_exit_guest(vcpu)
        self._kvm.srcu.read_unlock(vcpu.srcu_idx)
        return not r

    def _toggle(self, vcpu: NativeVcpu, registers: Registers, what: int) -> None:
        if what == 0:
            registers.wp = not registers.wp
            self._calls.set_wp(vcpu, registers.wp)
        elif what == 1:
            registers.smep = not registers.smep
            self._calls.set_smep(vcpu, registers.smep)
            if vcpu.gva is not None:
                vcpu.gva.smep = registers.smep
        else:
            registers.nx = not registers.nx
            self._calls.set_nx(vcpu, registers.nx)

    def _access(self, vcpu: NativeVcpu, made: Access) -> Outcome:
        """KVM_RUN until the access is done or the guest takes a #PF."""
        outcome = Outcome()
        rets: list[int] = []
        vcpu.results = rets
        attempts, switches = GUEST_ATTEMPTS, self._sched.switches
        self._calls.set_cpl(vcpu, made.user)
        vcpu.srcu_idx = self._kvm.srcu.read_lock()
        while True:
            r = self._x86.vcpu_enter_guest(vcpu)
            if r:
                outcome.result, outcome.value = ERROR, r
                break
            walked = self._translate(vcpu, made)
            if walked.pfn >= 0:
                self._sched.point(("frame", walked.pfn), made.access == WRITE)
                self._touch(walked.pfn, made, outcome)
            self._x86.vcpu_exit_guest(vcpu)
            if walked.pfn >= 0:
                break
            if walked.fault != NO_FAULT:
                outcome.result, outcome.value = FAULT, walked.fault
                break
            if self._sched.switches != switches:
                # Others ran: only attempts with all else at rest count.
                switches = self._sched.switches
                attempts = len(rets) + GUEST_ATTEMPTS
            if len(rets) >= attempts:
                outcome.result = STUCK
                break
            if not self._exit(vcpu, made, walked, outcome):
                break
        self._kvm.srcu.read_unlock(vcpu.srcu_idx)
        outcome.rets = tuple(rets)
        return outcome

    def _translate(self, vcpu: NativeVcpu, made: Access) -> Walked:
        mmu = vcpu.mmu
        if vcpu.gva is None:
            walker = Walker(vcpu.cpu, self._mm, mmu.root.hpa, mmu.root_role.level)
            return walker.walk(self.of(vcpu.vcpu_id), made.gva, made.access, made.user)
        pfn = vcpu.gva.translate(mmu.root.hpa, made.gva, made.access, made.user)
        return Walked(pfn, gpa=made.gva, access=made.access)

    def _exit(self, vcpu: NativeVcpu, made: Access, walked: Walked, outcome: Outcome) -> bool:
        """KVM handles the fault; False: the operation is over."""
        r = self._x86.kvm_mmu_page_fault(vcpu, walked.gpa, self._error_code(vcpu))
        fault = self._take_fault(vcpu)
        if fault != NO_FAULT:
            outcome.result, outcome.value = FAULT, fault
        elif r < 0:
            outcome.result, outcome.value = ERROR, r
        elif vcpu.sigbus:
            vcpu.sigbus = False
            outcome.result = SIGBUS
        elif r != RET_PF_EMULATE:
            if r == RET_PF_RETRY:
                self._sched.relax()
            return True
        else:  # be it for a table of the guest's, where the emulator walks these by itself
            return self._emulate(vcpu, made, outcome)
        return False

    def _error_code(self, vcpu: NativeVcpu) -> int:
        """That of the fault that made the CPU exit."""
        return vcpu.gva.error_code if vcpu.gva is not None else vcpu.cpu.error_code

    def _take_fault(self, vcpu: NativeVcpu) -> int:
        """The fault that KVM hands to the guest; NO_FAULT for none."""
        return self._calls.take_page_fault(vcpu)

    def _emulate(self, vcpu: NativeVcpu, made: Access, outcome: Outcome) -> bool:
        """The emulator makes the access; True if KVM lets the CPU try again instead, once."""
        if made.slowly and vcpu.gva is not None:
            made.slowly = False
            if self._calls.unprotect(vcpu, made.gva):
                return True
        done = self._calls.emulate(vcpu, made.gva, made.access, made.word)
        if done.faults:
            outcome.result, outcome.value = FAULT, self._take_fault(vcpu)
        elif done.errno:
            outcome.result, outcome.value = ERROR, done.errno
        elif done.mmio:
            outcome.result = MMIO
        else:
            outcome.result, outcome.value = OK, done.word
        return False

    def _touch(self, pfn: int, made: Access, outcome: Outcome) -> None:
        """The instruction reads or writes the frame."""
        frames = self._mm.frames
        outcome.result, outcome.pfn = OK, pfn
        index = made.gva >> 3 & 511
        if frames.is_free(pfn):
            outcome.value = FREED_DATA
        elif made.access == WRITE:
            store_word(self._mm, pfn, index, made.word)
            outcome.value = made.word
        else:
            outcome.value = self._mm.contents.word(frames.data(pfn), index)

    def dma(self, entry: int, word: int) -> Outcome:
        """A device writes an entry of the guest's tables; nothing where no memory is."""
        gpa = entry_gpa(entry)
        for number in range(MAX_SLOTS):
            slot = self._kvm.memslots[0].id_hash.get(number)
            if slot is not None and slot.base_gfn <= gpa >> 12 < slot.base_gfn + slot.npages:
                hva = slot.userspace_addr + gpa - (slot.base_gfn << 12)
                return Outcome(DONE if user_store(self._mm, hva, word) else NOTHING)
        return Outcome(NOTHING)
