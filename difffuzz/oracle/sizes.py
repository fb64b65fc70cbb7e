# SPDX-License-Identifier: GPL-2.0-only
"""Levels, judged by ranges: what dirty logging splits, and what its end makes whole again.

In lockstep an operation is judged when it is over, in a race where all threads meet.  Who may
interfere there, and why that excuses nothing:

Splitting.  Where a slot logs, no fault maps a huge page.  One that saw the slot before it logged is
over before pages are split: the update of memslots waits for it (SRCU).  So from the end of the
operation that split a range no huge leaf is there, whatever else goes on, until the slot is changed
again; only one thread does that.  A root that loses its last vCPU meanwhile is passed over, and is
gone before its thread meets the others.  Bits of the log that are set when a clear begins are set
when it comes to them, unless another thread reads or clears it meanwhile: then the clear is not
judged.

Collapsing.  Faults that saw the slot when it logged are over before small leaves are zapped, and
later ones map what fits.  What fits grows by the VMM (tracking ends, the NX mitigation:
such a phase is not judged) or in the host, by khugepaged, which takes the small pages from KVM
first and lets no fault in before the huge one is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from difffuzz.oracle.pages import max_level
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config, Kind, Op
from difffuzz.program.model import READONLY
from difffuzz.sides.base import Outcome
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import MemoryMap, Slot

LOGGING = frozenset({Kind.MEMSLOT_FLAGS, Kind.DIRTY_CLEAR})
SLOTS_CHANGE = frozenset(
    {Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE, Kind.MEMSLOT_FLAGS}
)
READS_LOG = frozenset({Kind.DIRTY_GET, Kind.DIRTY_CLEAR})
GROWS = frozenset({Kind.NX, Kind.TRACK_REMOVE})
"""Operations after which a larger leaf may fit where a small one was right."""
Key = tuple[int, int]
"""Address space and id of a slot."""


class Splitting:
    """Which ranges an operation has to split: with eager page splitting, in the TDP MMU."""

    __slots__ = ("_config", "_dirty", "_logging", "_side")

    def __init__(self, side: KvmSide, config: Config) -> None:
        self._side = side
        self._config = config
        self._dirty: dict[int, int] = {}
        self._logging = False

    def before(self, op: Op) -> None:
        """Notes what the operation is about to change."""
        if op.kind not in LOGGING:
            return
        slot = self._side.kvm.memslots[op.args[1]].id_hash.get(op.args[0])
        bitmap = slot.dirty_bitmap if slot is not None else None
        self._logging = bitmap is not None
        self._dirty = dict(bitmap) if bitmap is not None else {}

    def due(self, op: Op, outcome: Outcome, memory: MemoryMap) -> Iterator[tuple[Slot, int, int]]:
        """Slots and gfns [start, end) where no huge leaf may be left; `memory`: as it is now."""
        if op.kind not in LOGGING or outcome.value:
            return
        if not self._config.eager_split or not self._side.kvm.tdp_mmu_enabled:
            return
        slot = memory.slots.get((op.args[1], op.args[0]))
        if slot is None:
            return
        if op.kind == Kind.MEMSLOT_FLAGS:
            on = slot.dirty_log and not slot.flags & READONLY and not self._logging
            if on and not self._config.init_set:
                yield slot, slot.gfn, slot.gfn + slot.npages
        elif self._config.init_set:
            first, n = op.args[2:]
            for word, mask in self._dirty.items():
                start = word << 6
                if mask and first <= start < first + n:
                    low = slot.gfn + start + (mask & -mask).bit_length() - 1
                    yield slot, low, slot.gfn + start + mask.bit_length()


def huge_left(side: KvmSide, slot: Slot, start: int, end: int) -> Iterable[Violation]:
    """A huge leaf where all should have been split."""
    for gfn, leaf in side.tables.leaves_in(slot.as_id, start, end):
        if leaf.level > 1:
            text = f"gfn {gfn:#x}: a huge leaf is left that should have been split"
            return (Violation("level", side.name, "split", text),)
    return ()


def small_left(side: KvmSide, config: Config, memory: MemoryMap, slot: Slot) -> Iterable[Violation]:
    """A small leaf in a slot that logs no longer, where a larger one fits."""
    for gfn, leaf in side.tables.leaves_in(slot.as_id, slot.gfn, slot.gfn + slot.npages):
        if leaf.level < 3 and leaf.level < max_level(config, memory, side.mm, slot, gfn):
            text = f"gfn {gfn:#x}: a small leaf is left where a larger one fits"
            return (Violation("level", side.name, "collapse", text),)
    return ()


class RaceSizes:
    """What has to be split or whole when all threads meet."""

    __slots__ = (
        "_clears",
        "_config",
        "_grew",
        "_side",
        "_split",
        "_splitting",
        "_was_logging",
        "_whole",
    )

    def __init__(self, side: KvmSide, config: Config) -> None:
        self._side = side
        self._config = config
        self._splitting: dict[int, Splitting] = {}
        """By thread, while it changes how a slot is logged."""
        self._clears: dict[int, bool] = {}
        """By thread that clears a log: did nobody else touch it meanwhile?"""
        self._split: dict[Key, list[tuple[int, int]]] = {}
        self._whole: set[Key] = set()
        self._was_logging = False
        self._grew = False

    def begins(self, op: Op, memory: MemoryMap) -> None:
        """An operation of the VMM begins; `memory`: as it was before."""
        kind = op.kind
        if kind in GROWS:
            self._grew = True
        if kind in LOGGING:
            self._splitting[op.thread] = Splitting(self._side, self._config)
            self._splitting[op.thread].before(op)
        if kind in SLOTS_CHANGE:
            key = op.args[1], op.args[0]
            slot = memory.slots.get(key)
            self._was_logging = slot is not None and slot.dirty_log
            self._split.pop(key, None)
            self._whole.discard(key)
        if kind in SLOTS_CHANGE or kind in READS_LOG:
            alone = not self._clears
            self._clears = dict.fromkeys(self._clears, False)
            self._clears[op.thread] = alone

    def ends(self, op: Op, outcome: Outcome, memory: MemoryMap) -> None:
        """It is over; `memory`: as it made it.

        What a clear had to split is known only if nobody else changed slot or log meanwhile.
        """
        alone = self._clears.pop(op.thread, False)
        splitting = self._splitting.pop(op.thread, None)
        if splitting is None or (op.kind == Kind.DIRTY_CLEAR and not alone):
            return
        for slot, start, end in splitting.due(op, outcome, memory):
            self._split.setdefault((slot.as_id, slot.slot), []).append((start, end))
        if op.kind == Kind.MEMSLOT_FLAGS and self._was_logging and not outcome.value:
            key = op.args[1], op.args[0]
            changed = memory.slots.get(key)
            if changed is not None and not changed.dirty_log and not changed.flags & READONLY:
                self._whole.add(key)

    def settled(self, memory: MemoryMap) -> Iterator[Violation]:
        """All threads have met."""
        for key, ranges in self._split.items():
            for start, end in ranges:
                yield from huge_left(self._side, memory.slots[key], start, end)
        if not self._grew and not memory.nx:
            for key in self._whole:
                yield from small_left(self._side, self._config, memory, memory.slots[key])
        self._whole.clear()
        self._grew = False
