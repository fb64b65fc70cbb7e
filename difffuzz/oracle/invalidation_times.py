# SPDX-License-Identifier: GPL-2.0-only
"""Ground truth about invalidations: two mmu notifiers around KVM's own, which note the time.

An invalidation is in progress from the moment its start takes mmu_lock until its end takes it.  Who
takes the lock in between must see it, whatever KVM's own counters say.  A start that does not take
the lock found no memslot there.
"""

from __future__ import annotations

from collections.abc import Iterator

from difffuzz.machine.host import HostMM
from difffuzz.oracle.notifier import SilentNotifier
from difffuzz.oracle.versions import Versions
from difffuzz.sched import Task
from difffuzz.sched.interleave import SNAPSHOTS, Interleaver

NEVER = 1 << 62


class TimedInvalidation:
    """One invalidation of the hvas [start, end), made by a task.

    KVM sees it as in progress from step `begun` to step `over`.  A time is NEVER while it has not
    come.  `told`: KVM's invalidate_range_start() has returned.  `ending`: its
    invalidate_range_end() runs.  `sure`: both times were seen inside KVM; else they are those of
    the call or operation around the invalidation, which may not even have made one.  `gfns`: start
    and end are gfns.
    """

    __slots__ = ("begun", "end", "ending", "gfns", "over", "start", "sure", "task", "told")

    def __init__(self, task: Task, start: int, end: int, *, sure: bool = True) -> None:
        self.sure = sure
        self.task = task
        self.start = start
        self.end = end
        self.begun = NEVER
        self.told = NEVER
        self.ending = False
        self.over = NEVER
        self.gfns: tuple[int, int] | None = None


class _Listener(SilentNotifier):
    """Sees the calls, before or after KVM does."""

    __slots__ = ("invalidations",)

    def __init__(self, invalidations: InvalidationTimes) -> None:
        self.invalidations = invalidations


class _Before(_Listener):
    """Called before KVM."""

    __slots__ = ()

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        """KVM's start comes next."""
        self.invalidations.starts(start, end)

    def invalidate_range_end(self, start: int, end: int) -> None:
        """KVM's end comes next."""
        self.invalidations.ends(start, end)


class _After(_Listener):
    """Called after KVM."""

    __slots__ = ()

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        """KVM's start has returned."""
        self.invalidations.started()

    def invalidate_range_end(self, start: int, end: int) -> None:
        """KVM's end has returned."""
        self.invalidations.ended()


class InvalidationTimes:
    """The invalidations of a phase, in the order in which they began.

    `by_gfn`: KVM compares faults with them by gfn (since 6.8), not by hva.
    """

    __slots__ = ("_by_gfn", "_calling", "_versions", "all", "sched")

    def __init__(self, mm: HostMM, sched: Interleaver, versions: Versions, *, by_gfn: bool) -> None:
        self.sched = sched
        self._versions = versions
        self._by_gfn = by_gfn
        self.all: list[TimedInvalidation] = []
        self._calling: dict[Task, TimedInvalidation] = {}
        mm.notifiers.insert(0, _Before(self))
        mm.register(_After(self))

    # What the notifiers see

    def starts(self, start: int, end: int) -> None:
        """The current task is about to tell KVM of an invalidation."""
        task = self.sched.current
        invalidation = self._calling[task] = TimedInvalidation(task, start, end)
        self.all.append(invalidation)

    def started(self) -> None:
        """KVM was told."""
        invalidation = self._calling.pop(self.sched.current)
        if invalidation.begun == NEVER:
            self.sched.touch(SNAPSHOTS)
            invalidation.begun = self.sched.steps
            invalidation.sure = False
        elif self._by_gfn:
            self.sched.touch(SNAPSHOTS)
        invalidation.told = self.sched.steps

    def ends(self, start: int, end: int) -> None:
        """The current task is about to tell KVM that the invalidation is over."""
        task = self.sched.current
        for invalidation in reversed(self.all):
            # Its own: others may be at the same range.
            if (invalidation.task, invalidation.start, invalidation.end) == (task, start, end):
                if invalidation.over == NEVER:
                    invalidation.ending = True
                    self._calling[task] = invalidation
                    return
        raise AssertionError("an invalidation ends that never began")

    def ended(self) -> None:
        """KVM was told."""
        invalidation = self._calling.pop(self.sched.current)
        if invalidation.over == NEVER:
            self.sched.touch(SNAPSHOTS)
            invalidation.over = self.sched.steps

    def locked(self, task: Task) -> None:
        """The task has taken mmu_lock."""
        invalidation = self._calling.get(task)
        if invalidation is None:
            return
        if invalidation.begun == NEVER:
            self.sched.touch(SNAPSHOTS)
            invalidation.begun = self.sched.steps
        elif invalidation.ending and invalidation.over == NEVER:
            self.sched.touch(SNAPSHOTS)
            invalidation.over = self.sched.steps

    def block(self, start: int, end: int) -> TimedInvalidation:
        """The current task blocks the faults of the gfns [start, end), as kvm_zap_gfn_range() does.

        By hva, it blocks those of all addresses.
        """
        invalidation = TimedInvalidation(self.sched.current, 0, NEVER, sure=False)
        invalidation.gfns = (start, end)
        invalidation.begun = self.sched.steps
        self.all.append(invalidation)
        return invalidation

    def unblock(self, invalidation: TimedInvalidation) -> None:
        """No longer, for all that the task knows."""
        invalidation.over = self.sched.steps

    def forget(self) -> None:
        """Drops those that are over."""
        self.all[:] = [invalidation for invalidation in self.all if invalidation.over == NEVER]

    # What they mean for a fault

    def must_retry(self, hva: int, snapshot: int, locked: int) -> bool:
        """R1: was `hva` surely being invalidated at `locked`, or did that end since `snapshot`?"""
        for one in self.all:
            if one.start <= hva < one.end and one.begun < locked and one.over > snapshot:
                if one.sure and self._binds(one) < locked:
                    return True
        return False

    def _binds(self, one: TimedInvalidation) -> int:
        """From when on the faults of all its pages must retry.

        By gfn, KVM notes the range of one memslot after the other, as it comes to unmap it, and may
        let others have mmu_lock before it comes to the next.
        """
        if not self._by_gfn:
            return one.begun
        maps = self._versions.during(one.begun, self.sched.steps)
        several = any(len(memory.slots_over(one.start, one.end)) > 1 for memory in maps)
        return one.told if several else one.begun

    def may_retry(self, hva: int, gfn: int, begin: int, end: int) -> bool:
        """R2: could an invalidation make a fault of [begin, end] retry?

        Any that ended meanwhile, whatever its range; and those in progress if the page is in the
        hull of all ranges since the last moment at which none was, which is all that KVM keeps.
        """
        since = NEVER
        for one in self.all:
            if one.begun <= end and one.over >= begin:
                if one.over <= end:
                    return True
                since = min(since, one.begun)
        low, high = NEVER, 0
        before = NEVER + 1
        while since < before:
            before = since
            for one in self.all:
                if one.begun <= end and one.over >= since:
                    since = min(since, one.begun)
                    for start, stop in self._ranges(one, end):
                        low, high = min(low, start), max(high, stop)
        return low <= (gfn if self._by_gfn else hva) < high

    def _ranges(self, one: TimedInvalidation, end: int) -> Iterator[tuple[int, int]]:
        """What KVM notes of it: its hvas, or the gfns of each memslot there, in any space."""
        if not self._by_gfn:
            yield one.start, one.end
        elif one.gfns is not None:
            yield one.gfns
        else:
            for memory in self._versions.during(one.begun, end):
                for slot in memory.slots_over(one.start, one.end):
                    yield slot.gfns_of(one.start, one.end)
