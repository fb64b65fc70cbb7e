# SPDX-License-Identifier: GPL-2.0-only
"""Ground truth about invalidations: two mmu notifiers around KVM's own, which note the time.

Between the outer start and the outer end an invalidation may be in progress for KVM; between the
inner start (KVM's has returned) and the inner end (KVM's is yet to be called) it surely is.
"""

from __future__ import annotations

from collections.abc import Callable

from difffuzz.machine.host import HostMM

NEVER = 1 << 62


class Bracket:
    """One invalidation of the hvas [start, end): four times, NEVER for what is yet to come."""

    __slots__ = ("begun", "called", "end", "over", "start", "surely")

    def __init__(self, start: int, end: int, now: int) -> None:
        self.start = start
        self.end = end
        self.called = now
        self.surely = NEVER
        self.begun = NEVER
        self.over = NEVER


class _Silent:
    """The notifier calls that nobody here listens to."""

    __slots__ = ("brackets", "clock")

    def __init__(self, brackets: list[Bracket], clock: Callable[[], int]) -> None:
        self.brackets = brackets
        self.clock = clock

    def change_pte(self, addr: int, pte: int) -> None:
        """Part of an invalidation."""

    def clear_flush_young(self, start: int, end: int) -> int:
        """Aging invalidates nothing."""
        return 0

    def clear_young(self, start: int, end: int) -> int:
        """Aging invalidates nothing."""
        return 0

    def test_young(self, addr: int) -> int:
        """Aging invalidates nothing."""
        return 0

    def release(self) -> None:
        """The address space ends."""

    def _open(self, start: int, end: int) -> Bracket:
        for bracket in reversed(self.brackets):
            if bracket.start == start and bracket.end == end and bracket.over == NEVER:
                return bracket
        raise AssertionError("an invalidation ends that never began")


class _Before(_Silent):
    """Called before KVM."""

    __slots__ = ()

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        """KVM's start comes next."""
        self.brackets.append(Bracket(start, end, self.clock()))

    def invalidate_range_end(self, start: int, end: int) -> None:
        """KVM's end comes next."""
        self._open(start, end).begun = self.clock()


class _After(_Silent):
    """Called after KVM."""

    __slots__ = ()

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        """KVM's start has returned."""
        self._open(start, end).surely = self.clock()

    def invalidate_range_end(self, start: int, end: int) -> None:
        """KVM's end has returned."""
        self._open(start, end).over = self.clock()


class Brackets:
    """The invalidations of a phase, in the order in which they began."""

    __slots__ = ("all",)

    def __init__(self, mm: HostMM, clock: Callable[[], int]) -> None:
        self.all: list[Bracket] = []
        mm.notifiers.insert(0, _Before(self.all, clock))
        mm.register(_After(self.all, clock))

    def forget(self) -> None:
        """Drops those that are over."""
        self.all[:] = [bracket for bracket in self.all if bracket.over == NEVER]

    def must_retry(self, hva: int, snapshot: int, locked: int) -> bool:
        """R1: was `hva` surely being invalidated at `locked`, or did that end since `snapshot`?"""
        for one in self.all:
            if one.start <= hva < one.end and one.surely < locked and one.begun > snapshot:
                if one.begun > locked or one.over < locked:
                    return True
        return False

    def may_retry(self, hva: int, begin: int, end: int) -> bool:
        """R2: could an invalidation make a fault of [begin, end] retry?

        Any that ended meanwhile, whatever its range; and those in progress if `hva` is in the hull
        of their ranges, which is all that KVM keeps.
        """
        low, high = NEVER, 0
        for one in self.all:
            if one.called > end or one.over < begin:
                continue
            if one.begun <= end:
                return True
            low, high = min(low, one.start), max(high, one.end)
        return low <= hva < high
