# SPDX-License-Identifier: GPL-2.0-only
"""One side of a lockstep run, with what the oracles need to know about it."""

from __future__ import annotations

import traceback
from collections import Counter

from difffuzz.engine.features import transition
from difffuzz.facts.paging import PAGE_SHIFT, PT_WRITABLE_MASK
from difffuzz.facts.spte import SPTE_MMU_PRESENT_MASK
from difffuzz.machine.pageformat import WRITE
from difffuzz.oracle.access import access_violations
from difffuzz.oracle.answers import AGING, Ages
from difffuzz.oracle.bookkeeping import (
    accounting_violations,
    leak_violations,
    new_mmio_violations,
    obsolete_violations,
    unprotected_violations,
)
from difffuzz.oracle.contents import Contents
from difffuzz.oracle.dirty_log import DirtyLog
from difffuzz.oracle.emptied import (
    Range,
    emptied_violations,
    release_violations,
    slot_to_empty,
)
from difffuzz.oracle.history import History
from difffuzz.oracle.pages import Leaves, leaf_violations
from difffuzz.oracle.prefault import prefault_violations
from difffuzz.oracle.retry import Flight, Invalidations, causeless_retries, parked_violations
from difffuzz.oracle.sizes import small_left
from difffuzz.oracle.splits import split_tables
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config, Kind, Op
from difffuzz.program.fields import BRACKET
from difffuzz.program.limits import area_base
from difffuzz.program.model import DIRTY_LOG, READONLY
from difffuzz.program.ops import IS_HOST
from difffuzz.sched import KernelSplat
from difffuzz.sched.core import OUT_OF_STEPS, STEP_LIMIT
from difffuzz.sides.base import NOTHING, OK, Leaf, Outcome, Side
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import MemoryMap

ACCESS_KINDS = (Kind.READ, Kind.WRITE, Kind.EXEC)
EXEC = Kind.EXEC
BEGIN_FAULT = Kind.BEGIN_FAULT
END_FAULT = Kind.END_FAULT
INVALIDATE = Kind.INVALIDATE
ENDS = BRACKET.words.index("end")
MEMSLOT_CREATE = Kind.MEMSLOT_CREATE
RECLAIMS = frozenset({Kind.SWAP_OUT, Kind.PAGEOUT})
MEMSLOT_FLAGS = Kind.MEMSLOT_FLAGS
DIRTY_GET = Kind.DIRTY_GET
PREFAULT = Kind.PREFAULT
DIRTY_CLEAR = Kind.DIRTY_CLEAR
CIRCLE_STEPS = 20_000
"""Steps of one operation after which one that wrote next to nothing may be going in circles."""


class JudgedSide:
    """Runs a side and notes what its own oracles say.  `violations` is of the last operation."""

    __slots__ = (
        "abandoned",
        "ages",
        "allowed",
        "config",
        "contents",
        "dirty_log",
        "end_steps",
        "ended",
        "features",
        "flights",
        "history",
        "index",
        "invalidations",
        "leaves",
        "limited",
        "memory",
        "model",
        "number",
        "nx_before",
        "parked",
        "ranges_before",
        "recycled",
        "side",
        "steps_before",
        "violations",
        "walks",
        "was_logging",
    )

    def __init__(
        self,
        index: int,
        side: Side,
        config: Config,
        memory: MemoryMap,
        allowed: Counter[str],
        features: set[int],
        limited: bool,
        end_steps: int = STEP_LIMIT,
    ) -> None:
        self.index = index
        self.side = side
        self.model = side if isinstance(side, KvmSide) else None
        self.config = config
        self.memory = memory
        self.history = None if self.model is None else History(self.model, config, memory)
        self.leaves = None if self.model is None else Leaves(self.model, config, memory)
        self.allowed = allowed
        self.features = features
        self.violations: list[Violation] = []
        self.limited = limited
        self.end_steps = end_steps
        self.abandoned = False
        self.steps_before = 0
        self.number = 0
        """Of the operation that runs."""
        self.dirty_log = DirtyLog(side.name, config)
        self.contents = Contents(side.name, config)
        self.ages: Ages | None = None
        """Once the host has asked for the first time."""
        self.walks = 0
        self.ended: Range | None = None
        """The gfns that the operation takes from a memslot."""
        self.nx_before = False
        self.recycled = 0
        self.flights: dict[int, Flight] = {}
        self.parked: set[int] = set()
        self.ranges_before = 0
        self.was_logging = False
        self.invalidations = Invalidations()
        side.mm.register(self.invalidations)

    def execute(self, op: Op, number: int) -> Outcome | None:
        """Runs an operation; None if the side's kernel crashed."""
        self.steps_before = self.side.sched.budget
        self.number = number
        try:
            return self.side.execute(op, number)
        except KernelSplat as splat:
            if splat.where == OUT_OF_STEPS and self.limited:
                self.abandoned = True
            else:
                self._splat(splat)
        except Exception as error:  # a crash of the model is a finding
            self.violations.append(crash(self.side.name, error))
        return None

    @property
    def in_circles(self) -> bool:
        """The run was abandoned in an operation of many steps that wrote next to nothing."""
        if not self.abandoned or self.steps_before < CIRCLE_STEPS:
            return False
        return self.model is not None and len(self.model.kvm.mem.log) < CIRCLE_STEPS // 1000

    @property
    def walked(self) -> list[bool]:
        """Which accesses walked the page table, since the host asked for the first time."""
        return self.ages.walks if self.ages is not None else []

    @property
    def comparable(self) -> bool:
        """Both MMUs had the same to look at when the host asked."""
        return self.ages is not None and self.ages.comparable

    @property
    def loses_mappings(self) -> bool:
        """Mappings go though the host does nothing: by reclaim, by aging without accessed bits."""
        if self.model is None:
            return False
        return self.model.kvm.stat.mmu_recycled > 0 or not self.config.ad

    def _splat(self, splat: KernelSplat) -> None:
        self.violations.append(Violation(splat.oracle, self.side.name, splat.where, splat.text))

    def before(self, op: Op) -> None:
        """Notes what is known only before the operation changes the memory map."""
        try:
            self._before(op)
        except KernelSplat as splat:  # the kernel's lists are too broken to be read
            self._splat(splat)

    def _before(self, op: Op) -> None:
        self.ranges_before = len(self.invalidations.ranges)
        if self.history is None:
            return
        self.history.before(op)
        kind, thread, args = op
        if kind in AGING and self.ages is None and self.model is not None:
            self.ages = Ages(self.model, self.memory)
        if self.ages is not None and self.model is not None:
            kvm = self.model.kvm
            self.recycled = kvm.stat.mmu_recycled
            if kind <= EXEC and thread < len(kvm.vcpus):
                self.walks = kvm.vcpus[thread].cpu.walks
        if kind < MEMSLOT_CREATE:
            return
        self.ended = slot_to_empty(op, self.memory)
        if kind < MEMSLOT_FLAGS:
            return
        self.nx_before = self.memory.nx
        if kind == MEMSLOT_FLAGS:
            slot = self.memory.slots.get((args[1], args[0]))
            self.was_logging = slot is not None and slot.dirty_log
        elif kind == Kind.NX and bool(args[0]) != self.memory.nx:
            for flight in self.flights.values():
                flight.root_obsolete = True
        elif kind == Kind.ZAP_GFN_RANGE and args[1]:
            for flight in self.flights.values():
                flight.all_gfns = True

    def after(self, op: Op, outcome: Outcome, as_id: int) -> None:
        """Judges an operation.  The memory map is already what the operation made it."""
        try:
            self._after(op, outcome, as_id)
        except KernelSplat as splat:
            self._splat(splat)

    def _after(self, op: Op, outcome: Outcome, as_id: int) -> None:
        model = self.model
        kind, thread, args = op
        if kind == BEGIN_FAULT and outcome.fault_gfn >= 0:
            self.parked.add(thread)
        elif kind == END_FAULT:
            self.parked.discard(thread)
        if model is None or self.history is None or self.leaves is None:
            return
        kvm = model.kvm
        if kvm.splats:
            for where, text in kvm.splats:
                self.violations.append(Violation("warn", model.name, where, text))
            kvm.splats.clear()
        if IS_HOST[kind]:
            if kind == INVALIDATE and args[3] == ENDS:
                first = area_base(args[0]) + (args[1] << PAGE_SHIFT)
                self.invalidations.ended_late(first, first + (args[2] << PAGE_SHIFT))
            self.contents.host(op)
            if kind in RECLAIMS:
                self.violations += self.contents.settled(model.mm)
        disturbed = len(self.invalidations.ranges) != self.ranges_before
        self.violations += self.history.after(op, outcome, disturbed)
        if kind <= EXEC:
            self._access(as_id, args[0], int(kind), outcome)
        elif kind == BEGIN_FAULT and outcome.fault_gfn >= 0:
            self._begin(thread, as_id, args[0], outcome)
        elif kind == END_FAULT and outcome.result != NOTHING:
            self._end(thread, as_id, outcome)
        elif kind == PREFAULT:
            self.violations += prefault_violations(model, as_id, args[0], args[1], outcome)
            self.dirty_log.touched_range(
                (self.memory,), as_id, args[0], args[0] + args[1], self.number
            )
        elif kind == DIRTY_GET:
            self._dirty_get(args, outcome)
        elif kind == MEMSLOT_CREATE:
            self._flags_changed((args[1], args[0]))  # if the slot is there already
        elif kind == DIRTY_CLEAR and not outcome.value:
            self.dirty_log.cleared((args[1], args[0]), args[2], args[3], self.number)
        if self.ages is not None:
            runs = kind <= EXEC and thread < len(kvm.vcpus)
            walked = runs and kvm.vcpus[thread].cpu.walks != self.walks
            self.violations += self.ages.after(op, outcome, as_id, walked)
            if kvm.stat.mmu_recycled != self.recycled:
                self.ages.forget()
        if kvm.mem.log:
            self._changed_sptes(kind)
        if model.mm.changed:
            self.violations += self.leaves.where_the_host_changed()
        if kind > MEMSLOT_CREATE:
            self._changed_slots(op, model, self.leaves)
            ended = self.ended if not outcome.value else None
            nx_changed = self.memory.nx != self.nx_before
            self.violations += emptied_violations(model, op, ended, nx_changed)

    def _access(self, as_id: int, gfn: int, access: int, outcome: Outcome) -> None:
        model = self.model
        assert model is not None
        self.violations += access_violations(
            model, self.config, self.memory, as_id, gfn, access, outcome
        )
        own = len(self.invalidations.ranges) - self.ranges_before
        if not self.invalidations.open:
            self.violations += causeless_retries(
                model.name, self.config, outcome, own, self.allowed
            )
        slot = self.memory.slot_at(as_id, gfn)
        if slot is None:
            return
        if slot.flags & DIRTY_LOG:
            self.dirty_log.touched((slot,), gfn, self.number)
            if access == WRITE and outcome.result == OK:
                self.dirty_log.written(slot, (slot,), gfn, self.number)
        if outcome.result == OK and access == WRITE:
            self.contents.wrote(slot.hva(gfn), outcome.value)
        elif outcome.result == OK:
            self.violations += self.contents.read(slot.hva(gfn), outcome.value)

    def _begin(self, thread: int, as_id: int, gfn: int, outcome: Outcome) -> None:
        slot = self.memory.slot_at(as_id, gfn)
        self.dirty_log.touched((slot,), gfn, self.number)
        self.flights.pop(thread, None)
        if outcome.parked and slot is not None:
            parked = len(self.invalidations.ranges)
            self.flights[thread] = Flight(slot.hva(gfn), self.ranges_before, parked)

    def _end(self, thread: int, as_id: int, outcome: Outcome) -> None:
        model = self.model
        assert model is not None
        flight = self.flights.pop(thread, None)
        if flight is not None:
            self.violations += parked_violations(
                model.name,
                self.config,
                self.memory,
                flight,
                self.invalidations.ranges[: self.ranges_before],
                outcome,
                self.allowed,
            )
        self._access(as_id, outcome.fault_gfn, outcome.access, outcome)

    def _dirty_get(self, args: tuple[int, ...], outcome: Outcome) -> None:
        key = args[1], args[0]
        if key not in self.memory.slots or outcome.value or outcome.bitmap is None:
            return
        self.violations += self.dirty_log.violations(key, outcome.bitmap, self.allowed)
        if not self.config.manual_protect:
            self.dirty_log.reported(key, outcome.bitmap, self.number)

    def _flags_changed(self, key: tuple[int, int]) -> None:
        """Without dirty logging there is no bitmap."""
        slot = self.memory.slots.get(key)
        if slot is not None and not slot.dirty_log:
            self.dirty_log.gone(key, self.number)

    def _logs(self) -> None:
        """The logs that nobody has read."""
        model = self.model
        assert model is not None
        for (as_id, slot_id), slot in self.memory.slots.items():
            known = model.kvm.memslots[as_id].id_hash.get(slot_id)
            if slot.dirty_log and known is not None and known.dirty_bitmap is not None:
                bitmap = dict(known.dirty_bitmap)
                self.violations += self.dirty_log.violations((as_id, slot_id), bitmap, self.allowed)

    def maps(self, as_id: int, op: Op, outcome: Outcome | None) -> tuple[Leaf, ...]:
        """The leaves that map the gfn of a guest access, for a trace."""
        if self.model is None or outcome is None:
            return ()
        if op.kind in ACCESS_KINDS:
            gfn = op.args[0]
        elif outcome.fault_gfn >= 0:
            gfn = outcome.fault_gfn
        else:
            return ()
        try:
            return tuple(leaf for _, leaf in self.model.tables.leaves_in(as_id, gfn, gfn + 1))
        except KernelSplat:  # an oracle has met it, too
            return ()

    # Page tables against the memory map

    def _changed_sptes(self, kind: Kind) -> None:
        model = self.model
        assert model is not None
        mem = model.kvm.mem
        pages, features = mem.pages, self.features
        seen: set[int] = set()
        # The fast path gives back what tracking in the other address space left an SPTE.
        mmu_writable = model.kvm.masks.shadow_mmu_writable_mask
        caches_mmio = model.kvm.masks.enable_mmio_caching
        split = split_tables(mem.log)
        for ptr, old, new in mem.log:
            page = pages.get(ptr >> 12)
            if page is None or page.sp is None:
                continue
            features.add(transition(self.index, kind, page.sp.role.level, old, new))
            if ptr in seen:
                continue
            seen.add(ptr)
            index = (ptr >> 3) & 511
            spte = page.ent.get(index, 0)
            if caches_mmio and spte and kind <= END_FAULT:
                self.violations += new_mmio_violations(model, page.sp, index, spte)
            found = model.tables.leaf_of(page, index, spte) if spte else None
            if found is not None:
                made = bool(
                    new & ~old & PT_WRITABLE_MASK
                    and ptr >> PAGE_SHIFT not in split
                    and not (old & SPTE_MMU_PRESENT_MASK and old & mmu_writable)
                )
                self.violations += leaf_violations(
                    model, self.config, self.memory, *found, new=made
                )
        mem.log.clear()

    def _changed_slots(self, op: Op, model: KvmSide, leaves: Leaves) -> None:
        """After a change of memslots, tracking or the mitigation: what it concerns, as a whole."""
        kind, _, args = op
        if kind == Kind.MEMSLOT_FLAGS:
            slot = self.memory.slots.get((args[1], args[0]))
            if slot is not None:
                self._flags_changed((slot.as_id, slot.slot))
                self.violations += leaves.of(slot.as_id, slot.gfn, slot.gfn + slot.npages)
                if self.was_logging and not slot.flags & (DIRTY_LOG | READONLY):
                    self.violations += small_left(model, self.config, self.memory, slot)
        elif kind in (Kind.TRACK_ADD, Kind.TRACK_REMOVE):
            for as_id in (0, 1):
                self.violations += leaves.of(as_id, args[1], args[1] + 1)
        elif kind in (Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE, Kind.NX):
            self.violations += leaves.all()
            if kind == Kind.MEMSLOT_DELETE:
                self.dirty_log.gone((args[1], args[0]), self.number)

    # The end

    def finish(self, number: int) -> None:
        """After the last operation: faults end, counters are checked, the VM is destroyed."""
        # The end is always seen through, however much is to be torn down.
        self.side.sched.budget += self.end_steps
        try:
            self._finish(number)
        except KernelSplat as splat:
            self._splat(splat)
        except Exception as error:  # a crash of the model is a finding
            self.violations.append(crash(self.side.name, error))

    def _finish(self, number: int) -> None:
        model = self.model
        if model is None or self.leaves is None:
            self.side.destroy()
            return
        self.violations += self.contents.settled(model.mm)
        self._logs()
        model.finish_faults(number)
        self.flights.clear()
        model.kvm.rcu.run_callbacks()
        self.violations += self.leaves.all()
        self.violations += accounting_violations(model)
        self.violations += obsolete_violations(model)
        if self.violations:
            return
        model.exit()
        self.violations += release_violations(model)
        model.destroy()
        for where, text in model.kvm.splats:
            self.violations.append(Violation("warn", model.name, where, text))
        if not self.violations:
            self.violations += leak_violations(model)
            self.violations += unprotected_violations(model)


def crash(name: str, error: Exception) -> Violation:
    """A Python exception in a side, at the place nearest to the model's code."""
    frames = traceback.extract_tb(error.__traceback__)
    inner = frames[-1]
    for frame in reversed(frames):
        if "kvm" in frame.filename or "machine" in frame.filename:
            inner = frame
            break
    return Violation(
        "crash", name, f"{type(error).__name__}@{inner.name}", f"{error!r} in {inner.name}"
    )
