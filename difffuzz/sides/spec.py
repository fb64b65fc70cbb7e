# SPDX-License-Identifier: GPL-2.0-only
"""The side spec: what a guest sees, from memslots and the host's page table alone.

It has no page tables, no TLB and no retries, and shares no code with the modelled KVM: an access
finds its memslot, then its host page, which is faulted in as any user of the address space would.
"""

from __future__ import annotations

from difffuzz.facts.errno import EFAULT, EHWPOISON
from difffuzz.machine.host import VM_PFNMAP, VM_WRITE, HostMM
from difffuzz.machine.pageformat import WRITE
from difffuzz.program import Config, Kind, Op
from difffuzz.program.model import READONLY
from difffuzz.program.ops import GUEST_KINDS
from difffuzz.sched import Scheduler
from difffuzz.sides.base import DONE, ERROR, MMIO, NOTHING, OK, SIGBUS, Outcome
from difffuzz.sides.host_ops import HOST_OPS
from difffuzz.sides.memory_map import MemoryMap, Slot
from difffuzz.sides.reach import reachable_gfns, unreachable


class SpecSide:
    """A program on the specification."""

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.sched = Scheduler()
        self.mm = HostMM(self.sched, config.areas)
        self.map = MemoryMap(config)
        self.async_pf = config.async_pf
        self._config = config
        self._reach = reachable_gfns(config)
        self.parked: dict[int, tuple[int, int, int]] = {}

    def execute(self, op: Op, number: int) -> Outcome:
        """Runs one operation."""
        kind, thread, args = op
        if kind <= Kind.RELOAD or kind == Kind.PREFAULT:
            if thread >= self.map.vcpus:
                return Outcome(NOTHING)
            if kind == Kind.END_FAULT:
                return self._finish(thread, number)
            if thread in self.parked:
                if kind == Kind.BEGIN_FAULT:
                    return Outcome(NOTHING)
                self._finish(thread, number)
            if kind <= Kind.BEGIN_FAULT and args[0] >= self._reach:
                access = args[1] if kind == Kind.BEGIN_FAULT else int(kind)
                return unreachable(self._config, access)
            if kind <= Kind.EXEC:
                return self._access(thread, args[0], int(kind), number)
            if kind == Kind.BEGIN_FAULT:
                return self._begin(thread, args[0], args[1])
        if kind in GUEST_KINDS:
            return Outcome(NOTHING)
        host_op = HOST_OPS.get(kind)
        if host_op is not None:
            return host_op(self.mm, args, number)
        if kind in (
            Kind.MEMSLOT_CREATE,
            Kind.MEMSLOT_DELETE,
            Kind.MEMSLOT_MOVE,
            Kind.MEMSLOT_FLAGS,
        ):
            for vcpu_id in sorted(self.parked):
                self._finish(vcpu_id, number)
        return Outcome(DONE, self.map.apply(op, None))

    def _begin(self, vcpu_id: int, gfn: int, access: int) -> Outcome:
        """The host page is faulted in and held now, the access comes with end_fault."""
        pfn = -1
        outcome = Outcome(NOTHING)
        outcome.fault_gfn = gfn
        slot = self.map.slot_at(self.map.smm[vcpu_id], gfn)
        if slot is not None and not (access == WRITE and slot.flags & READONLY):
            npages, pfn = self._fault_in(vcpu_id, slot, slot.hva(gfn), access == WRITE)
            outcome.parked = npages == 1
        self.parked[vcpu_id] = gfn, access, pfn if outcome.parked else -1
        return outcome

    def _fault_in(self, vcpu_id: int, slot: Slot, hva: int, write: bool) -> tuple[int, int]:
        """(1, pfn) or (-errno, 0).  A worker faults a swapped-out page in, for write."""
        waits = self.async_pf and not slot.flags & READONLY
        if waits and not self.map.smm[vcpu_id] and not self.map.guest_mode[vcpu_id]:
            npages, pfn = self.mm.get_user_pages_unlocked(hva, write, True)
            if npages:
                return npages, pfn
            npages, pfn = self.mm.get_user_pages_unlocked(hva, True, False)
            if npages == 1:
                self.mm.put_page(pfn)
        return self.mm.get_user_pages_unlocked(hva, write, False)

    def _finish(self, vcpu_id: int, number: int) -> Outcome:
        parked = self.parked.pop(vcpu_id, None)
        if parked is None:
            return Outcome(NOTHING)
        gfn, access, pfn = parked
        if pfn >= 0:
            self.mm.put_page(pfn)
        outcome = self._access(vcpu_id, gfn, access, number)
        outcome.fault_gfn = gfn
        outcome.access = access
        return outcome

    def _access(self, vcpu_id: int, gfn: int, access: int, number: int) -> Outcome:
        slot = self.map.slot_at(self.map.smm[vcpu_id], gfn)
        write = access == WRITE
        if slot is None or (write and slot.flags & READONLY):
            return Outcome(MMIO)
        hva = slot.hva(gfn)
        vma = self.mm.vmas.find(hva)
        if vma is not None and vma.flags & VM_PFNMAP:
            pfn = self._device_pfn(hva, write)
            if pfn < 0:
                return Outcome(ERROR, -EFAULT)
            if write and not vma.flags & VM_WRITE:
                return Outcome(MMIO)
        else:
            npages, pfn = self._fault_in(vcpu_id, slot, hva, write)
            if npages == -EHWPOISON:
                return Outcome(SIGBUS)
            if npages != 1:
                return Outcome(ERROR, -EFAULT)
            self.mm.put_page(pfn)
        outcome = Outcome(OK)
        outcome.pfn = pfn
        if write:
            self.mm.frames.set_data(pfn, number)
            self.mm.frames.mark_dirty(pfn)
            outcome.value = number
        else:
            outcome.value = self.mm.frames.data(pfn)
        return outcome

    def _device_pfn(self, hva: int, write: bool) -> int:
        """The pfn of device memory, which has no struct page to hold; -1 for none."""
        mm = self.mm
        mm.mmap_lock.down_read()
        try:
            pte = mm.follow_pte(hva)
            if not pte and not mm.fixup_user_fault(hva, write):
                pte = mm.follow_pte(hva)
            # As Linux 6.1 does: no reference can be taken of a driver's tail pages.
            return pte >> 12 if pte and not mm.frames.is_tail(pte >> 12) else -1
        finally:
            mm.mmap_lock.up_read()

    def finish_faults(self, number: int) -> None:
        """Ends every parked fault."""
        for vcpu_id in sorted(self.parked):
            self._finish(vcpu_id, number)

    def destroy(self) -> None:
        """The process exits."""
        self.mm.destroy()
