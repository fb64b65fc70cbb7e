# SPDX-License-Identifier: GPL-2.0-only
"""The emptied oracle: what was zapped is empty, in every table of both address spaces."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from difffuzz.oracle.verdict import Violation
from difffuzz.program import Kind, Op
from difffuzz.sched import Task
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import MemoryMap

EMPTIED = """After a zap of a range of gfns, the end or the move of a memslot, and a zap of all, no
leaf is left of what was zapped, in any table of either address space; in a race, when whoever
zapped released mmu_lock last.  After the end of the address space no leaf is left at all."""

Range = tuple[int, int, int]
"""Address space, first gfn and the gfn behind the last."""


def slot_to_empty(op: Op, memory: MemoryMap) -> Range | None:
    """The gfns that an operation takes from a memslot, if it succeeds."""
    if op.kind not in (Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE):
        return None
    slot = memory.slots.get((op.args[1], op.args[0]))
    if slot is None or (op.kind == Kind.MEMSLOT_MOVE and op.args[2] == slot.gfn):
        return None
    return slot.as_id, slot.gfn, slot.gfn + slot.npages


def first_leaf(
    side: KvmSide, start: int, end: int, as_id: int | None = None, raced: Collection[int] = ()
) -> str:
    """A leaf that maps a gfn of [start, end) and none of `raced`, in a few words; "" for none.

    Tables that no root leads to count, too: they may be linked again.
    """
    for space, gfn, leaf in side.tables.all_leaves():
        last = gfn + (1 << 9 * (leaf.level - 1))
        if gfn < end and start < last and as_id in (None, space):
            if any(gfn <= one < last for one in raced):
                continue
            return f"gfn {gfn:#x}: a leaf of level {leaf.level} is left, address space {space}"
    return ""


def emptied_violations(
    side: KvmSide, op: Op, slot: Range | None, nx_changed: bool
) -> Iterator[Violation]:
    """What an operation that nothing overlapped has left.  `slot`: see slot_to_empty()."""
    left, what = "", ""
    if op.kind == Kind.ZAP_GFN_RANGE:
        left, what = first_leaf(side, op.args[0], op.args[0] + op.args[1]), "range"
    elif slot is not None:
        as_id, start, end = slot
        left, what = first_leaf(side, start, end, as_id), "slot"
    elif op.kind == Kind.NX and nx_changed:
        left, what = first_leaf(side, 0, 1 << 52), "all"
    if left:
        yield Violation("emptied", side.name, what, left)


def release_violations(side: KvmSide) -> Iterator[Violation]:
    """What the end of the address space, release() of the mmu notifier, has left."""
    if left := first_leaf(side, 0, 1 << 52):
        yield Violation("emptied", side.name, "release", left)


class RaceEmptied:
    """Watches zaps of ranges while others run.

    The range must be empty when whoever takes mmu_lock next after the zap's last turn looks at it.
    What the guest accesses meanwhile is R1's business: whether its fault may map.
    """

    __slots__ = ("_held", "_left", "_op", "_raced", "_side", "_violations")

    def __init__(self, side: KvmSide, violations: list[tuple[Violation, Op]]) -> None:
        self._side = side
        self._violations = violations
        self._op: Op | None = None
        self._held = False
        self._left = ""
        self._raced: set[int] = set()

    def begins(self, op: Op, running: Iterable[int]) -> None:
        """A zap begins, while accesses to these gfns are going on."""
        self._op = op
        self._raced = set(running)
        self._held = False
        self._left = ""

    def accessed(self, gfn: int) -> None:
        """An access begins."""
        if self._op is not None:
            self._raced.add(gfn)

    def disturbed(self) -> None:
        """Pages of many gfns may be mapped from now on: the zap is not judged."""
        self._op = None

    def locked(self, task: Task) -> None:
        """A task has taken mmu_lock: it finds what the one before has left."""
        if self._op is None:
            return
        self._look()
        if task.number == self._op.thread:
            self._held = True
            self._left = ""

    def ends(self) -> None:
        """The zap is over."""
        if self._op is None:
            return
        self._look()
        if self._left:
            violation = Violation("emptied", self._side.name, "range", self._left)
            self._violations.append((violation, self._op))
        self._op = None

    def _look(self) -> None:
        op = self._op
        if self._held and op is not None:
            self._held = False
            _ = self._side.kvm.active_mmu_pages  # brings a library's tables up to date
            start, end = op.args[0], op.args[0] + op.args[1]
            self._left = first_leaf(self._side, start, end, raced=self._raced)
