# SPDX-License-Identifier: GPL-2.0-only
"""A program whose guest has page tables of its own, on the kernel's own code.

Accesses by gfn go through the guest's direct map.  The slot where its tables lie stays: no
operation takes it, moves it or makes it read-only.  SMM, an L2 and parked faults do nothing here.
"""

from __future__ import annotations

from typing import Final, cast

from difffuzz.facts.paging import MAXPHYADDR, PAGE_SHIFT
from difffuzz.native.kvm import NativeKvm
from difffuzz.program import Config, Kind, Op
from difffuzz.program.fields import SWITCHED
from difffuzz.program.guest_tables import DIRECT_PMDS, DIRECT_PUD
from difffuzz.program.limits import LOW_GFNS
from difffuzz.program.model import READONLY
from difffuzz.program.ops import GUEST_KINDS
from difffuzz.sched import Scheduler, Task
from difffuzz.sides.base import NOTHING, Outcome
from difffuzz.sides.guest_memory import entry_value
from difffuzz.sides.kvm_package import AnyPackage
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.machine import PLAIN, Machine
from difffuzz.sides.nested_guest import EptGuest, NestedGuest
from difffuzz.sides.paging_guest import PagingGuest

GUEST_TYPES: Final = {"paging64": PagingGuest, "ept12": EptGuest, "npt12": NestedGuest}
LEFT_OUT: Final = frozenset({Kind.SMM, Kind.GUEST_MODE, Kind.BEGIN_FAULT, Kind.END_FAULT})
ACCESSES: Final = frozenset({Kind.READ, Kind.WRITE, Kind.EXEC, *GUEST_KINDS} - {Kind.DMA})
OF_A_SLOT: Final = frozenset({Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE})
PLACES_A_SLOT: Final = frozenset({Kind.MEMSLOT_CREATE, Kind.MEMSLOT_MOVE})
FAR_GFNS: Final = 1 << MAXPHYADDR - PAGE_SHIFT - 1
LEAST_MMU_PAGES: Final = 64
WP: Final = SWITCHED.words.index("wp")


def is_left_out(kind: Kind, args: tuple[int, ...], guest: str = "paging64") -> bool:
    """Does the operation do nothing where the guest has page tables?"""
    if kind == Kind.TOGGLE and (guest == "ept12" or (guest == "npt12" and args[0] == WP)):
        return True  # nested paging goes by less
    if kind in LEFT_OUT or (kind == Kind.MMU_PAGES and args[0] < LEAST_MMU_PAGES):
        return True
    if kind <= Kind.EXEC and args[0] >= LOW_GFNS:
        return True  # the guest's direct map has 4 GiB
    if kind == Kind.WRITE and guest == "paging64" and args[0] in (DIRECT_PUD, *DIRECT_PMDS):
        return True  # it would write over its own way there
    if kind in PLACES_A_SLOT and args[2] >= FAR_GFNS:
        return True  # the sides' CPUs end memslots at different gfns
    return kind in OF_A_SLOT and args[:2] == (0, 0)


class GuestSide(KvmSide):
    """One VM.  `guest`: what runs in it."""

    def __init__(
        self,
        name: str,
        package: AnyPackage,
        config: Config,
        tdp_mmu: bool,
        sched: Scheduler | None = None,
        machine: Machine = PLAIN,
    ) -> None:
        super().__init__(name, package, config, tdp_mmu, sched, machine)
        self._name_of_guest = config.guest
        self.guest = GUEST_TYPES[config.guest](cast(NativeKvm, self.kvm), self.mm, self.sched)
        self.guest.load()

    def execute_among_others(self, op: Op, number: int) -> Outcome:
        """Runs an operation as the current task of a concurrent run."""
        kind, thread, args = op
        task = self.sched.current
        outcome = self._execute(task, kind, thread, args, number)
        task.assert_idle("operation end")
        self.kvm.rcu.run_callbacks()
        return outcome

    def _execute(
        self, task: Task, kind: Kind, thread: int, args: tuple[int, ...], number: int
    ) -> Outcome:
        if is_left_out(kind, args, self._name_of_guest):
            return Outcome(NOTHING)
        if kind in ACCESSES:
            if thread >= len(self.kvm.vcpus):
                return Outcome(NOTHING)
            return self.sched.run_as(task, self.guest.run, kind, thread, args, number)
        if kind == Kind.DMA:
            word = entry_value(args[1], args[2], self.guest.ept)
            return self.sched.run_as(task, self.guest.dma, args[0], word)
        if kind == Kind.MEMSLOT_FLAGS and args[:2] == (0, 0):
            args = (*args[:2], args[2] & ~READONLY)
        return super()._execute(task, kind, thread, args, number)
