# SPDX-License-Identifier: GPL-2.0-only
"""Oracles that look at an operation from both ends, or at several: settling, reclaim, splitting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from difffuzz.facts.kvm import RET_PF_MAPPED
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config, Kind, Op
from difffuzz.program.model import READONLY
from difffuzz.sides.base import Outcome
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.kvm_state import ShadowPage
from difffuzz.sides.memory_map import MemoryMap, Slot

SETTLED = 4
"""Faults of one access after which it should be mapped for good."""
NEAR_LIMIT = 16
"""One operation makes fewer shadow pages than this, and what it wants to be free, together."""
LIMIT_KINDS = (Kind.MMU_PAGES, Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE)
EXEC = Kind.EXEC
MEMSLOT_FLAGS = Kind.MEMSLOT_FLAGS
DIRTY_CLEAR = Kind.DIRTY_CLEAR


class History:
    """What one side did before, as far as an oracle needs it.

    Settling (R3, progress): of guest accesses with nothing else going on, each faults a few
    times at most.  Two that undo each other for ever are an instruction that never completes.
    Reclaim (accounting): it takes the oldest shadow pages, none that is younger than one it leaves.
    Splitting (level): with eager page splitting, no huge leaf of the TDP MMU is left where dirty
    logging was switched on, or where the log was cleared.
    """

    __slots__ = (
        "_config",
        "_dirty",
        "_logging",
        "_mapped",
        "_memory",
        "_pages",
        "_recycled",
        "_side",
    )

    def __init__(self, side: KvmSide, config: Config, memory: MemoryMap) -> None:
        self._side = side
        self._config = config
        self._memory = memory
        self._mapped: dict[tuple[int, int, int], int] = {}
        self._pages: list[ShadowPage] = []
        self._recycled = 0
        self._dirty: dict[int, int] = {}
        self._logging = False

    def before(self, op: Op) -> None:
        """Notes what the operation is about to change."""
        kind = op.kind
        kvm = self._side.kvm
        self._recycled = kvm.stat.mmu_recycled
        near = kvm.n_used_mmu_pages + NEAR_LIMIT > kvm.n_max_mmu_pages
        self._pages = list(kvm.active_mmu_pages) if near or kind in LIMIT_KINDS else []
        if kind in (MEMSLOT_FLAGS, DIRTY_CLEAR):
            args = op.args
            slot = kvm.memslots[args[1]].id_hash.get(args[0])
            bitmap = slot.dirty_bitmap if slot is not None else None
            self._logging = bitmap is not None
            self._dirty = dict(bitmap) if bitmap is not None else {}

    def after(self, op: Op, outcome: Outcome, disturbed: bool) -> Iterable[Violation]:
        """Judges an operation; `disturbed`: the host changed something meanwhile."""
        kind, thread, args = op
        if self._side.kvm.stat.mmu_recycled != self._recycled:
            found = list(self._order_of_reclaim())
            self._mapped.clear()
        else:
            found = []
            if kind > EXEC or disturbed:
                self._mapped.clear()
            elif outcome.rets and outcome.rets[-1] in RET_PF_MAPPED:
                found += self._settling((thread, args[0], int(kind)))
        if kind == MEMSLOT_FLAGS:
            found += self._split_slot(args[1], args[0])
        elif kind == DIRTY_CLEAR and not outcome.value:
            found += self._split_pages(*args)
        return found

    def _settling(self, key: tuple[int, int, int]) -> Iterator[Violation]:
        count = self._mapped[key] = self._mapped.get(key, 0) + 1
        if count >= SETTLED:
            text = f"gfn {key[1]:#x}: accesses unmap it by turns, again and again"
            yield Violation("progress", self._side.name, "by-turns", text)

    def _order_of_reclaim(self) -> Iterator[Violation]:
        active = self._side.kvm.active_mmu_pages
        # Oldest first, as it was before; but a page of an L2 goes with its last parent.
        pages = [(age, sp) for age, sp in enumerate(self._pages) if not sp.role.guest_mode]
        gone = [age for age, sp in pages if sp not in active]
        kept = [age for age, sp in pages if sp in active and not sp.root_count]
        if gone and kept and min(kept) < max(gone):
            text = "a shadow page was zapped before an older one"
            yield Violation("accounting", self._side.name, "reclaim-order", text)

    def _splits(self, slot: Slot | None) -> bool:
        return self._config.eager_split and self._side.kvm.tdp_mmu_enabled and slot is not None

    def _split_slot(self, as_id: int, slot_id: int) -> Iterator[Violation]:
        slot = self._memory.slots.get((as_id, slot_id))
        if self._config.init_set or self._logging or not self._splits(slot):
            return
        assert slot is not None
        if slot.dirty_log and not slot.flags & READONLY:
            yield from self._huge(slot, slot.gfn, slot.gfn + slot.npages)

    def _split_pages(self, slot_id: int, as_id: int, first: int, n: int) -> Iterator[Violation]:
        slot = self._memory.slots.get((as_id, slot_id))
        if not self._config.init_set or not self._splits(slot):
            return
        assert slot is not None
        for word, mask in self._dirty.items():
            start = word << 6
            if mask and first <= start < first + n:
                low = slot.gfn + start + (mask & -mask).bit_length() - 1
                yield from self._huge(slot, low, slot.gfn + start + mask.bit_length())

    def _huge(self, slot: Slot, start: int, end: int) -> Iterator[Violation]:
        for gfn, leaf in self._side.tables.leaves_in(slot.as_id, start, end):
            if leaf.level > 1:
                text = f"gfn {gfn:#x}: a huge leaf is left that should have been split"
                yield Violation("level", self._side.name, "split", text)
                return
