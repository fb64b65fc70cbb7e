# SPDX-License-Identifier: GPL-2.0-only
"""Progress: an operation that zaps all shadow pages ends, however many vCPUs make meanwhile."""

from __future__ import annotations

from difffuzz.oracle.verdict import Violation
from difffuzz.program import Kind, Op
from difffuzz.sched import Task
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.kvm_state import ShadowPage

WHOLE_KINDS = frozenset({Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE, Kind.NX})


class ZapAllProgress:
    """Watches one operation that zaps all shadow pages and yields mmu_lock in between.

    It may zap only pages that were there when it first took mmu_lock.  If it also zaps pages that
    vCPUs made while it yielded, it may never end.
    """

    __slots__ = ("_before", "_limit", "_op", "_open", "_side", "_there", "_violations")

    def __init__(self, side: KvmSide, violations: list[tuple[Violation, Op]]) -> None:
        self._side = side
        self._violations = violations
        self._op: Op | None = None
        self._open: set[int] = set()
        self._there: set[ShadowPage] | None = None
        self._before: set[ShadowPage] | None = None
        self._limit = 0

    def begins(self, op: Op, once: bool) -> None:
        """An operation that may zap every shadow page begins, by which it does so `once`.

        Two that overlap are not judged: what is young for one may be obsolete for the other.
        """
        self._open.add(op.thread)
        self._op = op if once and len(self._open) == 1 else None
        self._there = self._before = None

    def locked(self, task: Task) -> None:
        """A task has taken mmu_lock: what the one before did with it can be seen."""
        op = self._op
        if op is None:
            return
        self._look(op)
        if task.number == op.thread:
            kvm = self._side.kvm
            self._before, self._limit = set(kvm.active_mmu_pages), kvm.n_max_mmu_pages
            if self._there is None:
                self._there = self._before

    def ends(self, op: Op) -> None:
        """The operation is over."""
        self._open.discard(op.thread)
        if self._op is op:
            self._look(op)
            self._op = None

    def _look(self, op: Op) -> None:
        """Has the operation taken younger pages, when it had mmu_lock last?"""
        before, there, kvm = self._before, self._there, self._side.kvm
        self._before = None
        # A lower limit of shadow pages takes what it has to.
        if before is None or there is None or kvm.n_max_mmu_pages != self._limit:
            return
        if before - there - set(kvm.active_mmu_pages):
            text = "a zap of every shadow page goes on to those made since it took mmu_lock"
            violation = Violation("progress", self._side.name, "younger-pages", text)
            self._violations.append((violation, op))
