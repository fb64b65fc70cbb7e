# SPDX-License-Identifier: GPL-2.0-only
"""One side of a run whose guest has page tables, with what its oracles need to know."""

from __future__ import annotations

from collections import Counter
from typing import Final, cast

from difffuzz.engine.features import answer, transition
from difffuzz.engine.judged_side import crash
from difffuzz.native.kvm import NativeKvm
from difffuzz.oracle.bookkeeping import (
    accounting_violations,
    leak_violations,
    root_violations,
    unprotected_violations,
)
from difffuzz.oracle.guest_shadow import shadow_violations
from difffuzz.oracle.guest_tables import NOT_WRITTEN, GuestTables, Made
from difffuzz.oracle.guest_walk import WRITE
from difffuzz.oracle.nested_tables import EPT_FORMAT_NO_AD, EptTables, NptTables
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config, Kind, Op
from difffuzz.program.limits import MAX_VCPUS
from difffuzz.program.model import NESTED
from difffuzz.sched import KernelSplat
from difffuzz.sched.core import OUT_OF_STEPS
from difffuzz.sides.base import NOTHING, OK, Outcome
from difffuzz.sides.guest_side import GuestSide
from difffuzz.sides.memory_map import MemoryMap
from difffuzz.sides.paging_guest import access_of

TABLES_OF: Final = {"paging64": GuestTables, "ept12": EptTables, "npt12": NptTables}
REMAPS: Final = (Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE, Kind.MEMSLOT_FLAGS)


class JudgedGuestSide:
    """Runs a side and notes what its own oracles say.  `violations` is of the last operation."""

    __slots__ = ("abandoned", "features", "index", "shadowed", "side", "tables", "violations")

    def __init__(
        self,
        index: int,
        side: GuestSide,
        config: Config,
        memory: MemoryMap,
        allowed: Counter[str],
        features: set[int],
    ) -> None:
        self.index = index
        self.side = side
        self.features = features
        self.violations: list[Violation] = []
        self.abandoned = False
        self.shadowed = config.guest in NESTED or not side.kvm.tdp_mmu_enabled
        self.tables = TABLES_OF[config.guest](side.name, side.mm, memory, allowed)
        if config.guest == "ept12" and not config.ad:
            self.tables.format = EPT_FORMAT_NO_AD
        self.tables.settle()
        for vcpu in range(config.vcpus):
            self.tables.begin(vcpu)

    def execute(self, op: Op, number: int) -> Outcome | None:
        """Runs an operation; None if the side's kernel crashed or the run is abandoned."""
        try:
            return self.side.execute(op, number)
        except KernelSplat as splat:
            if splat.where == OUT_OF_STEPS:
                self.abandoned = True
            else:
                self.violations.append(
                    Violation(splat.oracle, self.side.name, splat.where, splat.text)
                )
        except Exception as error:  # a crash of the harness is a finding
            self.violations.append(crash(self.side.name, error))
        return None

    def after(self, op: Op, outcome: Outcome, memory: MemoryMap) -> None:
        """Judges an operation.  The memory map is already what the operation made it."""
        try:
            self._after(op, outcome, memory)
        except KernelSplat as splat:
            self.violations.append(Violation(splat.oracle, self.side.name, splat.where, splat.text))

    def _after(self, op: Op, outcome: Outcome, memory: MemoryMap) -> None:
        kvm = cast(NativeKvm, self.side.kvm)
        mem = kvm.mem
        for where, text in kvm.splats:
            self.violations.append(Violation("warn", self.side.name, where, text))
        kvm.splats.clear()
        kind, thread, args = op
        made = made_by(op)
        if made is not None and outcome.result != NOTHING:
            self.violations += self.tables.access(thread, made, outcome)
        if kind in REMAPS:
            self.tables.remapped()
        self.tables.settle(self._written(thread, made, outcome))
        if outcome.result != NOTHING:
            if kind == Kind.VCPU_CREATE:
                self.tables.begin(len(kvm.vcpus) - 1)
            self.tables.instruction(thread, kind, args)
            # Also one that takes away no more than accessed and dirty bits.
            self.tables.foreign |= kind == Kind.DMA
        self._note(kind)
        self.features.add(answer(self.index, kind, outcome))
        if self.shadowed and not self.tables.foreign:
            name, mm = self.side.name, self.side.mm
            tables = self.tables
            self.violations += shadow_violations(
                name, kvm, mm, memory, tables.memory(), tables.format
            )
        mem.log.clear()

    def _written(self, vcpu: int, made: Made | None, outcome: Outcome) -> int:
        """The gpa of the word that the guest wrote, as its tables have it."""
        if made is None or made.access != WRITE or outcome.result != OK:
            return NOT_WRITTEN
        return self.tables.now(vcpu, made.gva).translation.gfn << 12 | made.gva & 0xFF8

    def _note(self, kind: Kind) -> None:
        """Which SPTEs changed how: what guides the fuzzer."""
        mem = self.side.kvm.mem
        for ptr, old, new in mem.log:
            page = mem.pages.get(ptr >> 12)
            if page is not None and page.sp is not None:
                role = page.sp.role
                level = role.level + 4 * (not getattr(role, "direct", True))
                self.features.add(transition(self.index, kind, level & 7, old, new))

    def finish(self) -> None:
        """Counters are checked, the VM is destroyed, nothing is left."""
        side = self.side
        try:
            side.kvm.rcu.run_callbacks()
            self.violations += accounting_violations(side)
            self.violations += root_violations(side)
            if self.violations:
                return
            side.destroy()
            for where, text in side.kvm.splats:
                self.violations.append(Violation("warn", side.name, where, text))
            self.violations += leak_violations(side)
            self.violations += unprotected_violations(side)
        except KernelSplat as splat:
            self.violations.append(Violation(splat.oracle, side.name, splat.where, splat.text))
        except Exception as error:
            self.violations.append(crash(side.name, error))


def made_by(op: Op) -> Made | None:
    """The access of an operation of a vCPU; None if it makes none."""
    if op.thread >= MAX_VCPUS:
        return None
    made = access_of(op.kind, op.args, 0)
    return None if made is None else Made(made.gva, made.access, made.user)
