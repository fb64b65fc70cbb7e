# SPDX-License-Identifier: GPL-2.0-only
"""Guest accesses on a VM: KVM_RUN until the access is done, and faults that are parked."""

from __future__ import annotations

from typing import Protocol

from difffuzz.facts.errno import EINTR
from difffuzz.facts.kvm import RET_PF_EMULATE, RET_PF_RETRY
from difffuzz.machine.frames import FREED_DATA
from difffuzz.machine.host import HostMM
from difffuzz.machine.pageformat import WRITE
from difffuzz.program.limits import MAX_ATTEMPTS
from difffuzz.sched import Scheduler, Task
from difffuzz.sides.base import (
    DONE,
    ERROR,
    MMIO,
    NOTHING,
    OK,
    SIGBUS,
    STUCK,
    Outcome,
)
from difffuzz.sides.kvm_package import X86
from difffuzz.sides.kvm_state import Kvm, Vcpu


class ParkedFault:
    """A fault that waits in its handler, or an access that needed none."""

    __slots__ = ("access", "gfn", "outcome", "task")

    def __init__(self, gfn: int, access: int) -> None:
        self.gfn = gfn
        self.access = access
        self.task: Task | None = None
        self.outcome = Outcome(NOTHING)


class Observer(Protocol):
    """Is told what happens inside the operations of a concurrent run."""

    def touched(self, vcpu: int, gfn: int, pfn: int, access: int, number: int) -> None:
        """The guest's instruction is about to use the frame, a write to put `number` there."""

    def attempt_begins(self, vcpu: int, gfn: int) -> None:
        """A fault is handed to KVM."""

    def attempt_ends(self, vcpu: int, gfn: int, ret: int) -> None:
        """KVM answered RET_PF_* or -errno."""


class Guests:
    """The guests that run on a VM's vCPUs.  `faults`: parked ones, by vCPU."""

    __slots__ = ("_kvm", "_mm", "_sched", "_x86", "faults", "observer")

    def __init__(self, x86: X86[Vcpu], kvm: Kvm, mm: HostMM, sched: Scheduler) -> None:
        self._x86 = x86
        self._kvm = kvm
        self._mm = mm
        self._sched = sched
        self.observer: Observer | None = None
        self.faults: dict[int, ParkedFault] = {}

    def access(self, vcpu_id: int, gfn: int, access: int, number: int) -> Outcome:
        """One access of the current task; a write writes `number`."""
        vcpu = self._kvm.vcpus[vcpu_id]
        return self._run(vcpu, gfn, access, number, Outcome(), MAX_ATTEMPTS)

    def _run(
        self, vcpu: Vcpu, gfn: int, access: int, number: int, outcome: Outcome, attempts: int
    ) -> Outcome:
        """KVM_RUN until the access is done; `attempts` is how often it may fault."""
        vcpu.results = rets = list(outcome.rets)
        fast = vcpu.stat.pf_fast
        srcu = self._kvm.srcu
        gpa = gfn << 12
        x86, translate = self._x86, self._translate
        sched, observer = self._sched, self.observer
        switches = sched.switches
        vcpu.srcu_idx = srcu.read_lock()
        while True:
            r = x86.vcpu_enter_guest(vcpu)
            if r:
                outcome.result = ERROR
                outcome.value = r
                break
            pfn = translate(vcpu, gpa, access)
            if pfn >= 0:
                sched.point(("frame", pfn), access == WRITE)
                if observer is not None:
                    observer.touched(vcpu.vcpu_id, gfn, pfn, access, number)
                self._touch(pfn, access, number, outcome)
                x86.vcpu_exit_guest(vcpu)
                break
            x86.vcpu_exit_guest(vcpu)
            if sched.switches != switches:
                # Others ran: only attempts with all else at rest count.
                switches = sched.switches
                attempts = len(rets) + MAX_ATTEMPTS
            if len(rets) >= attempts:
                outcome.result = STUCK
                break
            if observer is not None:
                observer.attempt_begins(vcpu.vcpu_id, gfn)
            r = x86.kvm_mmu_page_fault(vcpu, gpa, vcpu.cpu.error_code)
            if observer is not None:
                observer.attempt_ends(vcpu.vcpu_id, gfn, r)
            if r == RET_PF_RETRY:
                sched.relax()
            if r < 0:
                outcome.result = ERROR
                outcome.value = r
                break
            if vcpu.sigbus:
                vcpu.sigbus = False
                outcome.result = SIGBUS
                break
            if r == RET_PF_EMULATE:
                self._emulate(vcpu, gpa, access, number, outcome)
                break
        srcu.read_unlock(vcpu.srcu_idx)
        outcome.rets = tuple(rets)
        outcome.fast += vcpu.stat.pf_fast - fast
        return outcome

    def prefault(self, vcpu: Vcpu, gfn: int, npages: int) -> Outcome:
        """KVM_PRE_FAULT_MEMORY.  A signal ends it: SIGBUS, or one of a user who waits no longer."""
        r = self._x86.kvm_vcpu_pre_fault_memory(vcpu, gfn, npages)
        if vcpu.sigbus:
            vcpu.sigbus = False
            return Outcome(SIGBUS, r)
        return Outcome(STUCK if r == -EINTR else ERROR if r else DONE, r)

    @staticmethod
    def _translate(vcpu: Vcpu, gpa: int, access: int) -> int:
        mmu = vcpu.mmu
        return vcpu.cpu.translate(mmu.root.hpa, mmu.root_role.level, gpa, access)

    def _touch(self, pfn: int, access: int, number: int, outcome: Outcome) -> None:
        """The guest's instruction reads or writes the frame."""
        frames = self._mm.frames
        outcome.result = OK
        outcome.pfn = pfn
        if access != 1:
            outcome.value = frames.data(pfn)
        elif frames.is_free(pfn):
            outcome.value = FREED_DATA
        else:
            frames.set_data(pfn, number)
            outcome.value = number

    def _emulate(self, vcpu: Vcpu, gpa: int, access: int, number: int, outcome: Outcome) -> None:
        value = self._x86.x86_emulate_access(vcpu, gpa, access == WRITE, number)
        outcome.result = MMIO if value is None else OK
        outcome.value = 0 if value is None else value

    # Parked faults

    def begin_fault(self, task: Task, vcpu_id: int, gfn: int, access: int) -> Outcome:
        """Runs the access up to where its fault has the pfn; the rest waits for the end."""
        vcpu = self._kvm.vcpus[vcpu_id]
        fault = self.faults[vcpu_id] = ParkedFault(gfn, access)
        outcome = fault.outcome
        task.want_park = True
        self._sched.spawn(task, lambda: self._one_fault(vcpu, gfn, access, outcome))
        task.want_park = False
        begun = Outcome(NOTHING)
        begun.fault_gfn = gfn
        if task.parked:
            begun.parked = True
            fault.task = task
        else:
            begun.rets = outcome.rets
        return begun

    def _one_fault(self, vcpu: Vcpu, gfn: int, access: int, outcome: Outcome) -> None:
        """Enters the guest and handles the fault that follows, if one does."""
        vcpu.results = []
        srcu = self._kvm.srcu
        vcpu.srcu_idx = srcu.read_lock()
        if not self._x86.vcpu_enter_guest(vcpu):
            hit = self._translate(vcpu, gfn << 12, access) >= 0
            self._x86.vcpu_exit_guest(vcpu)
            if not hit:
                fast = vcpu.stat.pf_fast
                outcome.value = self._x86.kvm_mmu_page_fault(vcpu, gfn << 12, vcpu.cpu.error_code)
                outcome.fast = vcpu.stat.pf_fast - fast
                vcpu.sigbus = False
        srcu.read_unlock(vcpu.srcu_idx)
        outcome.rets = tuple(vcpu.results)

    def finish_fault(self, task: Task, vcpu_id: int, number: int) -> Outcome:
        """Lets a parked fault go on, then the access itself; NOTHING if there is none."""
        fault = self.faults.pop(vcpu_id, None)
        if fault is None:
            return Outcome(NOTHING)
        done = Outcome()
        done.fault_gfn = fault.gfn
        done.access = fault.access
        vcpu = self._kvm.vcpus[vcpu_id]
        if fault.task is not None:
            outcome = fault.outcome
            self._sched.resume(fault.task)
            done.parked = True
            done.rets = outcome.rets
            done.parked_rets = len(outcome.rets)
            done.parked_ret = outcome.rets[-1]
            done.fast = outcome.fast
            if outcome.value < 0:
                done.result = ERROR
                done.value = outcome.value
                return done
            if outcome.value == RET_PF_EMULATE:
                gpa = fault.gfn << 12
                idx = self._kvm.srcu.read_lock()
                self._sched.run_as(task, self._emulate, vcpu, gpa, fault.access, number, done)
                self._kvm.srcu.read_unlock(idx)
                return done
        attempts = MAX_ATTEMPTS + len(done.rets)
        return self._sched.run_as(
            task, self._run, vcpu, fault.gfn, fault.access, number, done, attempts
        )
