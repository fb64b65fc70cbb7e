# SPDX-License-Identifier: GPL-2.0-only
"""The answers oracle: what KVM tells the host of aging is what the guest did.

Ground truth is the guest's accesses, and nothing of KVM's: a page is surely young once the guest
used it by a page walk, which sets the accessed bit, and as long as nothing may take the mapping;
it is surely old once it was aged, and as long as nothing touches the gigabyte around it, which a
huge page may map.  In between KVM may answer either way.

A page that was used and whose mapping was taken was marked accessed by KVM, when the SPTE went.
"""

from __future__ import annotations

from collections.abc import Iterator

from difffuzz.machine.age import HOST_YOUNG, KVM_YOUNG, PAGE_YOUNG
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Kind, Op
from difffuzz.program.limits import area_base
from difffuzz.program.ops import HOST_KINDS
from difffuzz.sched.interleave import Interleaver
from difffuzz.sides.base import OK, Outcome
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import MemoryMap, Slot

ANSWERS = """What KVM tells the host is true: a page that the guest used since it was aged last, and
whose mapping nothing took, is young, and marked accessed if something did (until 6.12); one of a
range that was aged and not touched since is not young; both MMUs say the same.  A page that it says
it faulted in beforehand is mapped."""

AGING = frozenset({Kind.AGE, Kind.TEST_AGE})
KEEPING = frozenset({Kind.SYNC, Kind.DIRTY_GET, Kind.DIRTY_CLEAR})
"""Operations that touch no page and take no mapping."""
FREES = frozenset({Kind.LAZY_FREE, Kind.SWAP_OUT, Kind.COLD, Kind.PAGEOUT})
"""Operations that make pages old."""
GIG = 30
AGES = "ages of pages"
"""Shared state of the oracle: aging begins and ends, before or after a use."""
MAKES_OLD = FREES | {Kind.AGE}
SPOILS = HOST_KINDS | {Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE, Kind.NX}
"""Operations beside which no answer is judged."""


class Ages:
    """What is known of the pages of one side, by hva >> 12."""

    __slots__ = ("_aged", "_memory", "_old", "_side", "_used", "_young", "comparable", "walks")

    def __init__(self, side: KvmSide, memory: MemoryMap) -> None:
        self._side = side
        self._memory = memory
        self._used: dict[int, int] = {}
        """Pages that the guest used since they were aged last, and the frames (pfns) it used."""
        self._young: set[int] = set()
        self._old: list[tuple[int, int]] = []
        """Ranges [first, last) of pages that were aged and not touched since."""
        self._aged: list[tuple[int, int]] = []
        """The same, touched or not."""
        self.comparable = False
        """The last answer was about pages that were aged before, with nothing taken since: both
        MMUs had the same to look at."""
        self.walks: list[bool] = []
        """Of each access since the host asked first: did it walk the page table?"""

    def after(self, op: Op, outcome: Outcome, as_id: int, walked: bool) -> Iterator[Violation]:
        """Judges an answer, or notes what an operation touched.

        `walked`: the access walked the page table; it did not, if the CPU had it cached.
        """
        kind, _, args = op
        if kind in AGING:
            yield from self._judge(kind, args, outcome.value)
        elif kind <= Kind.END_FAULT:
            gfn = outcome.fault_gfn if kind == Kind.END_FAULT else args[0]
            slot = self._memory.slot_at(as_id, gfn) if gfn >= 0 else None
            if outcome.rets:
                self._young.clear()  # a fault may put a page of another size in place of others
            if slot is not None:
                self._touched(slot, gfn, bool(outcome.rets))
                self.walks.append(walked)
                if kind <= Kind.EXEC and walked and outcome.result == OK and outcome.pfn >= 0:
                    self._young.add(slot.hva(gfn) >> 12)
                    if not self._side.mm.frames.reserved(outcome.pfn):
                        self._used[slot.hva(gfn) >> 12] = outcome.pfn
        elif kind not in KEEPING:
            self.forget()
            if kind in FREES:
                self._used.clear()

    def forget(self) -> None:
        """Something may have taken any mapping, or made one."""
        self._young.clear()
        self._old.clear()
        self._aged.clear()

    def _was_used(self, first: int, last: int) -> bool:
        """Did the guest use a page of [first, last) in the frame that the host maps there now?"""
        side = self._side
        return side.kvm.tells_accessed and any(
            first <= page < last and side.mm.lookup(page << 12) >> 12 == pfn
            for page, pfn in self._used.items()
        )

    def _touched(self, slot: Slot, gfn: int, faulted: bool) -> None:
        """`faulted`: what maps the gfn may be smaller now.  The TDP MMU splits a huge page for that
        and keeps the rest, the legacy MMU takes all of it away."""
        near = block_of(slot.hva(gfn) >> 12)
        self._old = _without(near, self._old)
        if faulted:
            self._aged = _without(near, self._aged)

    def _judge(self, kind: Kind, args: tuple[int, ...], told: int) -> Iterator[Violation]:
        first, last = _pages(kind, args)
        self.comparable = _within(first, last, self._aged)
        young = [page for page in self._young if first <= page < last]
        asked = kind == Kind.AGE or not told & HOST_YOUNG
        if young and asked and not told & KVM_YOUNG:
            text = f"hva {min(young) << 12:#x}: used since it was aged, not young for KVM"
            yield Violation("answers", self._side.name, "young-missed", text)
        elif not told & (KVM_YOUNG | PAGE_YOUNG) and asked and self._was_used(first, last):
            text = (
                f"hva {first << 12:#x}: used since it was aged, neither young nor marked accessed"
            )
            yield Violation("answers", self._side.name, "accessed-lost", text)
        elif told & KVM_YOUNG and _within(first, last, self._old):
            text = f"hva {first << 12:#x}: not touched since it was aged, young for KVM"
            yield Violation("answers", self._side.name, "young-invented", text)
        if kind == Kind.AGE:
            # A huge page around the range was aged with it.
            low, high = block_of(first), block_of(last - 1)
            self._young = {one for one in self._young if not low <= block_of(one) <= high}
            self._used = {
                one: pfn for one, pfn in self._used.items() if not low <= block_of(one) <= high
            }
            self._old.append((first, last))
            self._aged.append((first, last))


class RaceAges:
    """In races: which pages the guest used since they were aged last, and in which frames.

    No use of a page is forgotten. One counts if its operation walked the page table and no aging
    overlaps it: then the accessed bit was set after the page was aged last. From then on somebody
    remembers it: the SPTE, or the page, which KVM marks accessed when the SPTE goes. It does both
    in one turn with mmu_lock, which the notifier of aging takes too, and aging looks at the page
    last; so whoever zaps meanwhile excuses nothing. Not judged: what another host operation
    overlaps, which may have taken the page off its table while aging looked, or aged it itself; and
    what a zap of everything overlaps, whose roots are passed over while they are being zapped.
    """

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
            first, last = _pages(op.kind, op.args)
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
            first, last = _pages(op.kind, op.args)
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


def compare_answers(both: str, left: Outcome, right: Outcome) -> Iterator[Violation]:
    """Both MMUs tell the host the same."""
    if (left.value ^ right.value) & KVM_YOUNG:
        told = [("not young", "young")[bool(one.value & KVM_YOUNG)] for one in (left, right)]
        yield Violation("answers", both, "young", f"KVM says {told[0]} and {told[1]}")


def _pages(kind: Kind, args: tuple[int, ...]) -> tuple[int, int]:
    """The pages [first, last) that a host operation is about, by hva >> 12."""
    first = (area_base(args[0]) >> 12) + args[1]
    return first, first + (1 if kind == Kind.TEST_AGE else args[2])


def _within(first: int, last: int, ranges: list[tuple[int, int]]) -> bool:
    return any(low <= first and last <= high for low, high in ranges)


def _without(block: int, ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges that have no page in the gigabyte."""
    return [one for one in ranges if not block_of(one[0]) <= block <= block_of(one[1] - 1)]


def block_of(page: int) -> int:
    """The gigabyte that a page is in."""
    return page << 12 >> GIG
