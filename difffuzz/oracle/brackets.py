# SPDX-License-Identifier: GPL-2.0-only
"""Ground truth about invalidations: two mmu notifiers around KVM's own, which note the time.

Between the outer start and the outer end an invalidation may be in progress for KVM; between the
inner start (KVM's has returned) and the inner end (KVM's is yet to be called) it surely is.
"""

from __future__ import annotations

from difffuzz.machine.host import HostMM
from difffuzz.oracle.notifier import SilentNotifier
from difffuzz.sched import Task
from difffuzz.sched.interleave import GROUND_TRUTH, Interleaver

NEVER = 1 << 62


class Bracket:
    """A task's invalidation of the hvas [start, end); times are NEVER for what is yet to come."""

    __slots__ = ("begun", "called", "end", "over", "start", "surely", "task")

    def __init__(self, task: Task, start: int, end: int, now: int) -> None:
        self.task = task
        self.start = start
        self.end = end
        self.called = now
        self.surely = NEVER
        self.begun = NEVER
        self.over = NEVER


class _Listener(SilentNotifier):
    """Notes the time at the start and the end of an invalidation."""

    __slots__ = ("brackets", "sched")

    def __init__(self, brackets: list[Bracket], sched: Interleaver) -> None:
        self.brackets = brackets
        self.sched = sched

    def _open(self, start: int, end: int) -> Bracket:
        """The current task's own that is not over yet: others may be at the same range."""
        task = self.sched.current
        for bracket in reversed(self.brackets):
            if bracket.task is task and bracket.start == start and bracket.end == end:
                if bracket.over == NEVER:
                    return bracket
        raise AssertionError("an invalidation ends that never began")


class _Before(_Listener):
    """Called before KVM."""

    __slots__ = ()

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        """KVM's start comes next."""
        self.sched.touch(GROUND_TRUTH)
        self.brackets.append(Bracket(self.sched.current, start, end, self.sched.steps))

    def invalidate_range_end(self, start: int, end: int) -> None:
        """KVM's end comes next."""
        self.sched.touch(GROUND_TRUTH)
        self._open(start, end).begun = self.sched.steps


class _After(_Listener):
    """Called after KVM."""

    __slots__ = ()

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        """KVM's start has returned."""
        self.sched.touch(GROUND_TRUTH)
        self._open(start, end).surely = self.sched.steps

    def invalidate_range_end(self, start: int, end: int) -> None:
        """KVM's end has returned."""
        self.sched.touch(GROUND_TRUTH)
        self._open(start, end).over = self.sched.steps


class Brackets:
    """The invalidations of a phase, in the order in which they began."""

    __slots__ = ("all", "sched")

    def __init__(self, mm: HostMM, sched: Interleaver) -> None:
        self.sched = sched
        self.all: list[Bracket] = []
        mm.notifiers.insert(0, _Before(self.all, sched))
        mm.register(_After(self.all, sched))

    def block_all(self) -> Bracket:
        """The current task blocks the faults of all addresses, as kvm_zap_gfn_range() does."""
        bracket = Bracket(self.sched.current, 0, NEVER, self.sched.steps)
        self.all.append(bracket)
        return bracket

    def unblock(self, bracket: Bracket) -> None:
        """No longer, for all that the task knows."""
        bracket.begun = bracket.over = self.sched.steps

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
        of all ranges since the last moment at which none was, which is all that KVM keeps.
        """
        low, high = NEVER, 0
        since = NEVER
        for one in self.all:
            if one.called <= end and one.over >= begin:
                if one.begun <= end:
                    return True
                since = min(since, one.called)
        before = NEVER + 1
        while since < before:
            before = since
            for one in self.all:
                if one.called <= end and one.over >= since:
                    since = min(since, one.called)
                    low, high = min(low, one.start), max(high, one.end)
        return low <= hva < high
