# SPDX-License-Identifier: GPL-2.0-only
"""Oracles that look at an operation from both ends, or at several: settling, reclaim, splitting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from difffuzz.facts.kvm import RET_PF_MAPPED
from difffuzz.oracle.sizes import Splitting, huge_left
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config, Kind, Op
from difffuzz.sides.base import Outcome
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.kvm_state import ShadowPage
from difffuzz.sides.memory_map import MemoryMap

SETTLED = 4
"""Faults of one access after which it should be mapped for good."""
NEAR_LIMIT = 16
"""One operation makes fewer shadow pages than this, and what it wants to be free, together."""
LIMIT_KINDS = (Kind.MMU_PAGES, Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE)
EXEC = Kind.EXEC


class History:
    """What one side did before, as far as an oracle needs it.

    Settling (R3, progress): of guest accesses with nothing else going on, each faults a few
    times at most.  Two that undo each other for ever are an instruction that never completes.
    Reclaim (accounting): it takes the oldest shadow pages, none that is younger than one it leaves.
    Splitting (level): see sizes.py.
    """

    __slots__ = (
        "_mapped",
        "_memory",
        "_pages",
        "_recycled",
        "_side",
        "_splitting",
    )

    def __init__(self, side: KvmSide, config: Config, memory: MemoryMap) -> None:
        self._side = side
        self._memory = memory
        self._mapped: dict[tuple[int, int, int], int] = {}
        self._pages: list[ShadowPage] = []
        self._recycled = 0
        self._splitting = Splitting(side, config)

    def before(self, op: Op) -> None:
        """Notes what the operation is about to change."""
        kind = op.kind
        kvm = self._side.kvm
        self._recycled = kvm.stat.mmu_recycled
        near = kvm.n_used_mmu_pages + NEAR_LIMIT > kvm.n_max_mmu_pages
        self._pages = list(kvm.active_mmu_pages) if near or kind in LIMIT_KINDS else []
        self._splitting.before(op)

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
        for slot, start, end in self._splitting.due(op, outcome, self._memory):
            found += huge_left(self._side, slot, start, end)
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
