# SPDX-License-Identifier: GPL-2.0-only
"""The answers oracle of concurrent runs: no use of a page is forgotten.

A use counts if its operation walked the page table and no aging overlaps it: then the accessed bit
was set after the page was aged last.  From then on somebody remembers it: the SPTE, or the page,
which KVM marks accessed when the SPTE goes.  It does both in one turn with mmu_lock, which the
notifier of aging takes too, and aging looks at the page last; so whoever zaps meanwhile excuses
nothing.  Not judged: what another host operation overlaps, which may have taken the page off its
table while aging looked, or aged it itself; and what a zap of everything overlaps, whose roots are
passed over while they are being zapped.
"""

from __future__ import annotations

from difffuzz.machine.age import HOST_YOUNG, KVM_YOUNG, PAGE_YOUNG
from difffuzz.oracle.answers import AGING, FREES, block_of
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Kind, Op
from difffuzz.program.limits import area_base
from difffuzz.program.ops import HOST_KINDS
from difffuzz.sched.interleave import Interleaver
from difffuzz.sides.base import Outcome
from difffuzz.sides.kvm_side import KvmSide

AGES = "ages of pages"
"""Shared state of the oracle: aging begins and ends, before or after a use."""
MAKES_OLD = FREES | {Kind.AGE}
SPOILS = HOST_KINDS | {Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE, Kind.NX}
"""Operations beside which no answer is judged."""


class RaceAges:
    """Which pages of a side the guest used since they were aged last, and in which frames."""

    __slots__ = ("_asked", "_last", "_running", "_sched", "_side", "_used", "_violations")

    def __init__(
        self, side: KvmSide, sched: Interleaver, violations: list[tuple[Violation, Op]]
    ) -> None:
        self._side = side
        self._sched = sched
        self._violations = violations
        self._used: dict[int, int] = {}
        self._running: list[Op] = []
        """Operations of SPOILS that are going on."""
        self._asked: dict[int, dict[int, int]] = {}
        """By thread, the uses that its aging must hear of; none if it is not judged."""
        self._last = -1
        """When pages were made old last."""

    def begins(self, op: Op) -> None:
        """An operation begins."""
        if op.kind not in SPOILS:
            return
        self._asked.clear()
        if op.kind in AGING and not self._running:
            first, last = _pages(op)
            self._asked[op.thread] = {
                page: pfn for page, pfn in self._used.items() if first <= page < last
            }
        self._running.append(op)
        if op.kind in MAKES_OLD:
            self._sched.touch(AGES)

    def ends(self, op: Op, outcome: Outcome) -> None:
        """It is over."""
        if op.kind not in SPOILS:
            return
        self._running.remove(op)
        if op.kind in AGING:
            self._judge(op, outcome.value, self._asked.pop(op.thread, {}))
        if op.kind in MAKES_OLD:
            self._sched.touch(AGES)
            self._last = self._sched.steps
            first, last = _pages(op)
            low, high = block_of(first), block_of(last - 1)
            self._used = {
                page: pfn
                for page, pfn in self._used.items()
                if op.kind == Kind.AGE and not low <= block_of(page) <= high
            }

    def used(self, hva: int, pfn: int, begin: int) -> None:
        """An access that began at a step and walked the page table uses a frame."""
        if not self._side.kvm.tells_accessed or self._side.mm.frames.reserved(pfn):
            return
        self._sched.touch(AGES, False)
        if self._last < begin and not any(op.kind in MAKES_OLD for op in self._running):
            self._used[hva >> 12] = pfn

    def _judge(self, op: Op, told: int, uses: dict[int, int]) -> None:
        if told & (KVM_YOUNG | PAGE_YOUNG) or (op.kind == Kind.TEST_AGE and told & HOST_YOUNG):
            return
        for page, pfn in uses.items():
            if self._side.mm.lookup(page << 12) >> 12 == pfn:
                text = f"hva {page << 12:#x}: used since it was aged, and nobody remembers"
                violation = Violation("answers", self._side.name, "accessed-lost", text)
                self._violations.append((violation, op))
                return


def _pages(op: Op) -> tuple[int, int]:
    """The pages [first, last) that it is about, by hva >> 12."""
    first = (area_base(op.args[0]) >> 12) + op.args[1]
    return first, first + (1 if op.kind == Kind.TEST_AGE else op.args[2])
