# SPDX-License-Identifier: GPL-2.0-only
"""A program run on a KVM, one operation at a time or as tasks of a concurrent run.

The KVM is the model, base or patched, or the kernel's own code: see kvm_package.py.
"""

from __future__ import annotations

from difffuzz.program import Config, Kind, Op
from difffuzz.program.limits import THREADS
from difffuzz.sched import Scheduler, Task
from difffuzz.sides.base import NOTHING, Outcome
from difffuzz.sides.guests import Guests
from difffuzz.sides.host_ops import HOST_OPS
from difffuzz.sides.kvm_package import AnyPackage
from difffuzz.sides.machine import PLAIN, Machine
from difffuzz.sides.page_tables import PageTables
from difffuzz.sides.params import vm_params
from difffuzz.sides.reach import reachable_gfns, unreachable
from difffuzz.sides.user_space import VCPU_EVENTS, VM_OPS, UserSpace

EXEC = Kind.EXEC
BEGIN_FAULT = Kind.BEGIN_FAULT
END_FAULT = Kind.END_FAULT
RELOAD = Kind.RELOAD
PREFAULT = Kind.PREFAULT
MEMSLOT_CREATE = Kind.MEMSLOT_CREATE
MEMSLOT_FLAGS = Kind.MEMSLOT_FLAGS
HOST_OP = tuple(HOST_OPS.get(kind) for kind in Kind)
VCPU_EVENT = tuple(VCPU_EVENTS.get(kind, UserSpace.reload) for kind in Kind)
VM_OP = tuple(VM_OPS.get(kind, UserSpace.sync) for kind in Kind)
"""Operations by kind: an index costs less than the hash of a member of an enumeration."""


class KvmSide:
    """One VM with the host process that owns it.

    `tables`: the leaves of its page tables; `guests`: its vCPUs' accesses and parked faults.
    """

    def __init__(
        self,
        name: str,
        package: AnyPackage,
        config: Config,
        tdp_mmu: bool,
        sched: Scheduler | None = None,
        machine: Machine = PLAIN,
    ) -> None:
        self.name = name
        self.tdp_mmu = tdp_mmu
        self.sched = sched if sched is not None else Scheduler()
        self.mm = machine.host(self.sched, config.areas)
        mem = machine.mem(self.sched) if machine.mem is not None else None
        self._vm = package.vm
        self.kvm = self._vm.kvm_create_vm(self.sched, self.mm, vm_params(config, tdp_mmu), mem)
        self.tables = PageTables(self.kvm)
        self.guests = Guests(package.x86, self.kvm, self.mm, self.sched)
        self._user = UserSpace(package, self.kvm)
        self._tasks: dict[int, Task] = {}
        self._config = config
        self._reach = reachable_gfns(config)
        for slot in config.slots:
            self._user.create_slot(slot)

    def task(self, thread: int) -> Task:
        """The task of a program's thread."""
        task = self._tasks.get(thread)
        if task is None:
            task = self._tasks[thread] = self.sched.add_task(THREADS[thread], thread)
        return task

    def execute(self, op: Op, number: int) -> Outcome:
        """Runs one operation; raises KernelSplat when the VM's kernel would crash."""
        kind, thread, args = op
        # Memslot updates wait for every fault in flight (synchronize_srcu()).
        if self.guests.faults and MEMSLOT_CREATE <= kind <= MEMSLOT_FLAGS:
            self.finish_faults(number)
        task = self._tasks.get(thread)
        if task is None:
            task = self.task(thread)
        outcome = self._execute(task, kind, thread, args, number)
        task.assert_idle("operation end")
        self.kvm.rcu.run_callbacks()
        return outcome

    def execute_among_others(self, op: Op, number: int) -> Outcome:
        """Runs an operation as the current task of a concurrent run.

        A fault that begins parked lets the others run where it would wait, and goes on by itself.
        """
        kind, thread, args = op
        task = self.sched.current
        if kind == BEGIN_FAULT:
            task.want_park = True
            outcome = self._execute(task, Kind(args[1]), thread, args[:1], number)
            task.want_park = False
        elif kind == END_FAULT:
            return Outcome(NOTHING)
        else:
            outcome = self._execute(task, kind, thread, args, number)
        task.assert_idle("operation end")
        self.kvm.rcu.run_callbacks()
        return outcome

    def _execute(
        self, task: Task, kind: Kind, thread: int, args: tuple[int, ...], number: int
    ) -> Outcome:
        sched = self.sched
        if kind <= RELOAD or kind == PREFAULT:
            guests = self.guests
            if thread >= len(self.kvm.vcpus):
                return Outcome(NOTHING)
            if kind == END_FAULT:
                return guests.finish_fault(task, thread, number)
            if thread in guests.faults:
                if kind == BEGIN_FAULT:
                    return Outcome(NOTHING)
                guests.finish_fault(task, thread, number)
            if kind <= BEGIN_FAULT and args[0] >= self._reach:
                return unreachable(self._config, args[1] if kind == BEGIN_FAULT else int(kind))
            if kind <= EXEC:
                return sched.run_as(task, guests.access, thread, args[0], int(kind), number)
            if kind == BEGIN_FAULT:
                return guests.begin_fault(task, thread, args[0], args[1])
            vcpu = self.kvm.vcpus[thread]
            if kind == PREFAULT:
                return sched.run_as(task, guests.prefault, vcpu, args[0], args[1])
            return sched.run_as(task, VCPU_EVENT[kind], self._user, vcpu, args)
        host_op = HOST_OP[kind]
        if host_op is not None:
            return sched.run_as(task, host_op, self.mm, args, number)
        return sched.run_as(task, VM_OP[kind], self._user, args)

    def finish_faults(self, number: int) -> None:
        """Ends every parked fault."""
        for vcpu_id in sorted(self.guests.faults):
            self.guests.finish_fault(self.task(vcpu_id), vcpu_id, number)

    def exit(self) -> None:
        """The process exits, and its address space goes: release() of the mmu notifier."""
        self.mm.destroy()

    def destroy(self) -> None:
        """The process exits: its address space goes, then the VM."""
        self.exit()
        self._vm.kvm_destroy_vm(self.kvm)
