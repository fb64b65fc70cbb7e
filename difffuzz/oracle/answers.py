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
from difffuzz.sides.base import OK, Outcome
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import MemoryMap, Slot

ANSWERS = """What KVM tells the host is true: a page that the guest used since it was aged last, and
whose mapping nothing took, is young, and marked accessed if something did; one of a range that was
aged and not touched since is not young; both MMUs say the same.  A page that it says it faulted
in beforehand is mapped."""

AGING = frozenset({Kind.AGE, Kind.TEST_AGE})
KEEPING = frozenset({Kind.SYNC, Kind.DIRTY_GET, Kind.DIRTY_CLEAR})
"""Operations that touch no page and take no mapping."""
FREES = frozenset({Kind.LAZY_FREE, Kind.SWAP_OUT, Kind.COLD, Kind.PAGEOUT})
"""Operations that make pages old."""
GIG = 30


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
        first = (area_base(args[0]) >> 12) + args[1]
        last = first + (args[2] if kind == Kind.AGE else 1)
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


def compare_answers(both: str, left: Outcome, right: Outcome) -> Iterator[Violation]:
    """Both MMUs tell the host the same."""
    if (left.value ^ right.value) & KVM_YOUNG:
        told = [("not young", "young")[bool(one.value & KVM_YOUNG)] for one in (left, right)]
        yield Violation("answers", both, "young", f"KVM says {told[0]} and {told[1]}")


def _within(first: int, last: int, ranges: list[tuple[int, int]]) -> bool:
    return any(low <= first and last <= high for low, high in ranges)


def _without(block: int, ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges that have no page in the gigabyte."""
    return [one for one in ranges if not block_of(one[0]) <= block <= block_of(one[1] - 1)]


def block_of(page: int) -> int:
    """The gigabyte that a page is in."""
    return page << 12 >> GIG
