# SPDX-License-Identifier: GPL-2.0-only
"""The sides legacy and tdp: a program run on the modelled KVM, base or patched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from difffuzz.machine.frames import FREED_DATA
from difffuzz.machine.host import HostMM
from difffuzz.machine.spt import PtPage
from difffuzz.program import Config, Kind, Op
from difffuzz.program.limits import THREADS, area_base
from difffuzz.sched import KernelSplat, Scheduler, Task
from difffuzz.sides.base import (
    DONE,
    ERROR,
    MAX_ATTEMPTS,
    MMIO,
    NOTHING,
    OK,
    SIGBUS,
    STUCK,
    Leaf,
    Outcome,
)
from difffuzz.sides.host_ops import HOST_OPS
from difffuzz.sides.params import vm_params

RET_PF_RETRY = 1
RET_PF_EMULATE = 2
MMU_PRESENT = 1 << 11
LARGE = 1 << 7
ADDR = ((1 << 52) - 1) & ~0xFFF
EXEC = Kind.EXEC
BEGIN_FAULT = Kind.BEGIN_FAULT
END_FAULT = Kind.END_FAULT
RELOAD = Kind.RELOAD
MEMSLOT_CREATE = Kind.MEMSLOT_CREATE
MEMSLOT_FLAGS = Kind.MEMSLOT_FLAGS
HOST_OP = tuple(HOST_OPS.get(kind) for kind in Kind)
"""Host operations by kind: an index costs less than the hash of a member of an enumeration."""


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

    def touched(self, vcpu: int, gfn: int, pfn: int, access: int) -> None:
        """The guest's instruction is about to use the frame."""

    def attempt_begins(self, vcpu: int, gfn: int) -> None:
        """A fault is handed to KVM."""

    def attempt_ends(self, vcpu: int, gfn: int, ret: int) -> None:
        """KVM answered RET_PF_* or -errno."""


class ModelSide:
    """A program on the modelled KVM.  `package` is difffuzz.kvm or a patched copy of it."""

    def __init__(
        self,
        name: str,
        package: Any,
        config: Config,
        tdp_mmu: bool,
        sched: Scheduler | None = None,
    ) -> None:
        self.name = name
        self._x86 = package.x86
        self._vm = package.vm
        self._package = package
        self.sched = sched if sched is not None else Scheduler()
        self.observer: Observer | None = None
        self.mm = HostMM(self.sched, config.areas)
        self.kvm: Any = self._vm.kvm_create_vm(self.sched, self.mm, vm_params(config, tdp_mmu))
        masks = self.kvm.masks
        self._exec_mask: int = masks.shadow_x_mask | masks.shadow_nx_mask
        self._exec_value: int = masks.shadow_x_mask
        self.tasks: dict[int, Task] = {}
        self.faults: dict[int, ParkedFault] = {}
        for slot in config.slots:
            package.memslot_update.kvm_set_memory_region(
                self.kvm,
                slot.as_id,
                slot.slot,
                slot.gfn,
                slot.npages,
                area_base(slot.area) + (slot.page << 12),
                slot.flags,
            )

    # Running operations

    def task(self, thread: int) -> Task:
        """The task of a program's thread."""
        task = self.tasks.get(thread)
        if task is None:
            task = self.tasks[thread] = self.sched.add_task(THREADS[thread], thread)
        return task

    def execute(self, op: Op, number: int) -> Outcome:
        """Runs one operation; raises KernelSplat when the model's kernel would crash."""
        kind, thread, args = op
        # Memslot updates wait for every fault in flight (synchronize_srcu()).
        if self.faults and MEMSLOT_CREATE <= kind <= MEMSLOT_FLAGS:
            self.finish_faults(number)
        task = self.tasks.get(thread)
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
        if kind == Kind.BEGIN_FAULT:
            task.want_park = True
            outcome = self._execute(task, Kind(args[1]), thread, args[:1], number)
            task.want_park = False
        elif kind == Kind.END_FAULT:
            return Outcome(NOTHING)
        else:
            outcome = self._execute(task, kind, thread, args, number)
        task.assert_idle("operation end")
        self.kvm.rcu.run_callbacks()
        return outcome

    def _execute(
        self, task: Task, kind: Kind, thread: int, args: tuple[int, ...], number: int
    ) -> Outcome:
        if kind <= RELOAD:
            if thread >= len(self.kvm.vcpus):
                return Outcome(NOTHING)
            if kind == END_FAULT:
                return self._finish_fault(thread, number)
            if thread in self.faults:
                if kind == BEGIN_FAULT:
                    return Outcome(NOTHING)
                self._finish_fault(thread, number)
            if kind <= EXEC:
                return self._as(task, self._access, thread, args[0], int(kind), number)
            if kind == BEGIN_FAULT:
                return self._begin_fault(task, thread, args[0], args[1])
            return self._as(task, OTHER_OP[kind], self, self.kvm.vcpus[thread], *args)
        host_op = HOST_OP[kind]
        if host_op is not None:
            return self._as(task, host_op, self.mm, args, number)
        return self._as(task, OTHER_OP[kind], self, *args)

    def _as(self, task: Task, body: Callable[..., Outcome], *args: Any) -> Outcome:
        outcome: Outcome = self.sched.run_as(task, body, *args)
        return outcome

    # Guest accesses

    def _access(self, vcpu_id: int, gfn: int, access: int, number: int) -> Outcome:
        vcpu = self.kvm.vcpus[vcpu_id]
        return self._run(vcpu, gfn, access, number, Outcome(), MAX_ATTEMPTS)

    def _run(
        self, vcpu: Any, gfn: int, access: int, number: int, outcome: Outcome, attempts: int
    ) -> Outcome:
        """KVM_RUN until the access is done; `attempts` is how often it may fault."""
        vcpu.results = rets = list(outcome.rets)
        fast = vcpu.stat.pf_fast
        srcu = self.kvm.srcu
        gpa = gfn << 12
        x86, translate = self._x86, self._translate
        sched, observer = self.sched, self.observer
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
                sched.point(("frame", pfn), access == 1)
                if observer is not None:
                    observer.touched(vcpu.vcpu_id, gfn, pfn, access)
                self._touch(vcpu, pfn, access, number, outcome)
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

    @staticmethod
    def _translate(vcpu: Any, gpa: int, access: int) -> int:
        mmu = vcpu.mmu
        pfn: int = vcpu.cpu.translate(mmu.root.hpa, mmu.root_role.level, gpa, access)
        return pfn

    def _touch(self, vcpu: Any, pfn: int, access: int, number: int, outcome: Outcome) -> None:
        """The guest's instruction reads or writes the frame."""
        frames = self.mm.frames
        outcome.result = OK
        outcome.pfn = pfn
        if access != 1:
            outcome.value = frames.data(pfn)
        elif frames.is_free(pfn):
            outcome.value = FREED_DATA
        else:
            frames.set_data(pfn, number)
            outcome.value = number

    def _emulate(self, vcpu: Any, gpa: int, access: int, number: int, outcome: Outcome) -> None:
        value = self._x86.x86_emulate_access(vcpu, gpa, access == 1, number)
        outcome.result = MMIO if value is None else OK
        outcome.value = 0 if value is None else value

    # Parked faults

    def _begin_fault(self, task: Task, vcpu_id: int, gfn: int, access: int) -> Outcome:
        """Runs the access up to where its fault has the pfn; the rest waits for the end."""
        vcpu = self.kvm.vcpus[vcpu_id]
        fault = self.faults[vcpu_id] = ParkedFault(gfn, access)
        outcome = fault.outcome
        task.want_park = True
        self.sched.spawn(task, lambda: self._one_fault(vcpu, gfn, access, outcome))
        task.want_park = False
        begun = Outcome(NOTHING)
        begun.fault_gfn = gfn
        if task.parked:
            begun.parked = True
            fault.task = task
        else:
            begun.rets = outcome.rets
        return begun

    def _one_fault(self, vcpu: Any, gfn: int, access: int, outcome: Outcome) -> None:
        """Enters the guest and handles the fault that follows, if one does."""
        vcpu.results = []
        srcu = self.kvm.srcu
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

    def _finish_fault(self, vcpu_id: int, number: int) -> Outcome:
        """Lets a parked fault go on, then the access itself; NOTHING if there is none."""
        fault = self.faults.pop(vcpu_id, None)
        if fault is None:
            return Outcome(NOTHING)
        outcome = fault.outcome
        assert outcome is not None
        done = Outcome()
        done.fault_gfn = fault.gfn
        done.access = fault.access
        vcpu = self.kvm.vcpus[vcpu_id]
        if fault.task is not None:
            outcome = fault.outcome
            self.sched.resume(fault.task)
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
                self._as_emulate(self.task(vcpu_id), vcpu, fault, number, done)
                return done
        return self._as(
            self.task(vcpu_id),
            self._run,
            vcpu,
            fault.gfn,
            fault.access,
            number,
            done,
            MAX_ATTEMPTS + len(done.rets),
        )

    def _as_emulate(
        self, task: Task, vcpu: Any, fault: ParkedFault, number: int, done: Outcome
    ) -> None:
        idx = self.kvm.srcu.read_lock()
        self.sched.run_as(task, self._emulate, vcpu, fault.gfn << 12, fault.access, number, done)
        self.kvm.srcu.read_unlock(idx)

    # vCPU events

    def _smm(self, vcpu: Any, on: int) -> Outcome:
        self._x86.kvm_smm_changed(vcpu, bool(on))
        return Outcome()

    def _guest_mode(self, vcpu: Any, on: int) -> Outcome:
        self._x86.nested_guest_mode(vcpu, bool(on))
        return Outcome()

    def _reload(self, vcpu: Any) -> Outcome:
        self._package.mmu_roots.kvm_mmu_reset_context(vcpu)
        return Outcome()

    # ioctls and module parameters

    def _memslot_create(
        self, slot: int, as_id: int, gfn: int, n: int, area: int, page: int, flags: int
    ) -> Outcome:
        hva = area_base(area) + (page << 12)
        r = self._package.memslot_update.kvm_set_memory_region(
            self.kvm, as_id, slot, gfn, n, hva, flags
        )
        return Outcome(DONE, r)

    def _slot(self, as_id: int, slot: int) -> Any:
        return self.kvm.memslots[as_id].id_hash.get(slot)

    def _memslot_delete(self, slot: int, as_id: int) -> Outcome:
        r = self._package.memslot_update.kvm_set_memory_region(self.kvm, as_id, slot, 0, 0, 0, 0)
        return Outcome(DONE, r)

    def _memslot_move(self, slot: int, as_id: int, gfn: int) -> Outcome:
        old = self._slot(as_id, slot)
        if old is None:
            return Outcome()
        r = self._package.memslot_update.kvm_set_memory_region(
            self.kvm, as_id, slot, gfn, old.npages, old.userspace_addr, old.flags
        )
        return Outcome(DONE, r)

    def _memslot_flags(self, slot: int, as_id: int, flags: int) -> Outcome:
        old = self._slot(as_id, slot)
        if old is None:
            return Outcome()
        r = self._package.memslot_update.kvm_set_memory_region(
            self.kvm, as_id, slot, old.base_gfn, old.npages, old.userspace_addr, flags
        )
        return Outcome(DONE, r)

    def _dirty_get(self, slot: int, as_id: int) -> Outcome:
        r, bitmap = self._package.dirty_log.kvm_vm_ioctl_get_dirty_log(self.kvm, as_id, slot)
        outcome = Outcome(DONE, r)
        outcome.bitmap = bitmap
        return outcome

    def _dirty_clear(self, slot: int, as_id: int, first: int, n: int) -> Outcome:
        r = self._package.dirty_log.kvm_vm_ioctl_clear_dirty_log(self.kvm, as_id, slot, first, n)
        return Outcome(DONE, r)

    def _mmu_pages(self, n: int) -> Outcome:
        return Outcome(DONE, self._vm.kvm_vm_ioctl_set_nr_mmu_pages(self.kvm, n))

    def _track_add(self, as_id: int, gfn: int) -> Outcome:
        return Outcome(DONE, int(self._vm.page_track(self.kvm, as_id, gfn, True)))

    def _track_remove(self, as_id: int, gfn: int) -> Outcome:
        return Outcome(DONE, int(self._vm.page_track(self.kvm, as_id, gfn, False)))

    def _nx(self, on: int) -> Outcome:
        self._vm.set_nx_huge_pages(self.kvm, bool(on))
        return Outcome()

    def _zap_gfn_range(self, gfn: int, n: int) -> Outcome:
        self._vm.zap_gfn_range(self.kvm, gfn, gfn + n)
        return Outcome()

    def _vcpu_create(self) -> Outcome:
        if len(self.kvm.vcpus) >= 4:
            return Outcome(NOTHING)
        self._vm.kvm_create_vcpu(self.kvm)
        return Outcome()

    def _sync(self) -> Outcome:
        return Outcome(NOTHING)

    def _nx_recover(self) -> Outcome:
        self._package.mmu_zap.kvm_recover_nx_huge_pages(self.kvm)
        return Outcome()

    # The end

    def finish_faults(self, number: int) -> None:
        """Ends every parked fault."""
        for vcpu_id in sorted(self.faults):
            self._finish_fault(vcpu_id, number)

    def destroy(self) -> None:
        """The process exits: its address space goes, then the VM."""
        self.mm.destroy()
        self._vm.kvm_destroy_vm(self.kvm)

    # What oracles look at

    def leaf_of(self, page: PtPage, index: int, spte: int) -> tuple[int, int, Leaf] | None:
        """Address space, first gfn and leaf of an entry; None if it is no present leaf."""
        sp = page.sp
        if sp is None or not spte & MMU_PRESENT:
            return None
        level = sp.role.level
        if level > 1 and not spte & LARGE:
            return None
        gfn = sp.gfn + (index << (9 * (level - 1)))
        return int(sp.role.smm), gfn, self._leaf(spte, level)

    def _leaf(self, spte: int, level: int) -> Leaf:
        executable = (spte & self._exec_mask) == self._exec_value
        return Leaf((spte & ADDR) >> 12, level, spte & 2 != 0, executable)

    def all_leaves(self) -> Iterator[tuple[int, int, Leaf]]:
        """(address space, first gfn, leaf) of every present leaf of every page table."""
        for page in list(self.kvm.mem.pages.values()):
            sp = page.sp
            if sp is None:
                continue
            level, as_id = sp.role.level, int(sp.role.smm)
            shift = 9 * (level - 1)
            for index, spte in list(page.ent.items()):
                if spte & MMU_PRESENT and (level == 1 or spte & LARGE):
                    yield as_id, sp.gfn + (index << shift), self._leaf(spte, level)

    def count_leaves(self) -> list[int]:
        """How many present leaves there are of each level, in every page table."""
        counted = [0, 0, 0]
        for page in self.kvm.mem.pages.values():
            if page.sp is None:
                continue
            level = page.sp.role.level
            what = MMU_PRESENT if level == 1 else MMU_PRESENT | LARGE
            count = sum([spte & what == what for spte in page.ent.values()])
            if count:
                counted[level - 1] += count
        return counted

    def roots(self) -> list[Any]:
        """The shadow pages of every root."""
        if self.kvm.tdp_mmu_enabled:
            return list(self.kvm.tdp_mmu_roots)
        return [
            page.sp
            for page in self.kvm.mem.pages.values()
            if page.sp is not None and page.sp.root_count
        ]

    def leaves_in(self, as_id: int, start: int, end: int) -> list[tuple[int, Leaf]]:
        """(first gfn, leaf) of every leaf below a root that maps a gfn of [start, end)."""
        found: list[tuple[int, Leaf]] = []
        for root in self.roots():
            if root.role.smm == as_id:
                self._walk(root.spt, start, end, found)
        return found

    def _walk(self, pa: int, start: int, end: int, found: list[tuple[int, Leaf]]) -> None:
        page = self.kvm.mem.pages.get(pa >> 12)
        if page is None:
            raise KernelSplat("uaf", "page_table", "a table that is linked was freed")
        sp = page.sp
        level = sp.role.level
        shift = 9 * (level - 1)
        first = (start - sp.gfn) >> shift
        last = (end - 1 - sp.gfn) >> shift
        ent = page.ent
        if first == last:
            indices = [first] if first in ent else []
        elif last - first < len(ent):
            indices = [i for i in range(max(first, 0), min(last, 511) + 1) if i in ent]
        else:
            indices = [i for i in ent if first <= i <= last]
        for index in indices:
            spte = ent[index]
            if not spte & MMU_PRESENT:
                continue
            if level > 1 and not spte & LARGE:
                self._walk(spte & ADDR, start, end, found)
            else:
                found.append((sp.gfn + (index << shift), self._leaf(spte, level)))


OTHER_OPS: dict[Kind, Callable[..., Outcome]] = {
    Kind.SMM: ModelSide._smm,
    Kind.GUEST_MODE: ModelSide._guest_mode,
    Kind.RELOAD: ModelSide._reload,
    Kind.MEMSLOT_CREATE: ModelSide._memslot_create,
    Kind.MEMSLOT_DELETE: ModelSide._memslot_delete,
    Kind.MEMSLOT_MOVE: ModelSide._memslot_move,
    Kind.MEMSLOT_FLAGS: ModelSide._memslot_flags,
    Kind.DIRTY_GET: ModelSide._dirty_get,
    Kind.DIRTY_CLEAR: ModelSide._dirty_clear,
    Kind.MMU_PAGES: ModelSide._mmu_pages,
    Kind.TRACK_ADD: ModelSide._track_add,
    Kind.TRACK_REMOVE: ModelSide._track_remove,
    Kind.NX: ModelSide._nx,
    Kind.ZAP_GFN_RANGE: ModelSide._zap_gfn_range,
    Kind.VCPU_CREATE: ModelSide._vcpu_create,
    Kind.NX_RECOVER: ModelSide._nx_recover,
    Kind.SYNC: ModelSide._sync,
}
OTHER_OP: tuple[Callable[..., Outcome], ...] = tuple(
    OTHER_OPS.get(kind, ModelSide._access) for kind in Kind
)
"""Operations of vCPUs and of user space, by kind."""
