# SPDX-License-Identifier: GPL-2.0-only
"""Lockstep: operations one at a time, in program order, on both sides, compared after each."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from difffuzz.engine.features import answer
from difffuzz.engine.judged_side import ACCESS_KINDS, JudgedSide, crash
from difffuzz.engine.noting import NoteTaker
from difffuzz.errors import UsageError
from difffuzz.facts.kvm import RET_PF_FIXED, RET_PF_SPURIOUS
from difffuzz.oracle import Divergence, Verdict, Violation
from difffuzz.oracle.access import alike, compare_outcomes, emulated_on_one_side
from difffuzz.oracle.answers import AGING, compare_answers
from difffuzz.oracle.prefault import lacking
from difffuzz.program import Config, Kind, Op, Program
from difffuzz.program.model import levels_differ
from difffuzz.sched import KernelSplat
from difffuzz.sched.core import STEP_LIMIT
from difffuzz.sides import SideFactory
from difffuzz.sides.base import Leaf, Outcome
from difffuzz.sides.memory_map import MemoryMap

PART_WAYS = ("no-mmu-pages", "misconfig-is-a-read", "freed-on-one-side", "no-prefault")
"""Rules that leave different data behind, by an access that fails on one side only, say."""
MEMSLOT_UPDATES = (
    Kind.MEMSLOT_CREATE,
    Kind.MEMSLOT_DELETE,
    Kind.MEMSLOT_MOVE,
    Kind.MEMSLOT_FLAGS,
)
RECLAIMS = (Kind.SWAP_OUT, Kind.PAGEOUT)
"""They tell which pages they dropped that were freed lazily."""
COMPARED_KINDS = (
    *MEMSLOT_UPDATES,
    *ACCESS_KINDS,
    Kind.END_FAULT,
    Kind.DIRTY_GET,
    Kind.DIRTY_CLEAR,
    Kind.HOST_READ,
    Kind.PREFAULT,
    *RECLAIMS,
    *AGING,
)
IS_COMPARED = tuple(kind in COMPARED_KINDS for kind in Kind)
"""By kind: an index costs less than the hash of a member of an enumeration."""
EXEC = Kind.EXEC
BEGIN_FAULT = Kind.BEGIN_FAULT
RECLAIMS_PAGES = frozenset(RECLAIMS)
END_FAULT = Kind.END_FAULT
PREFAULT = Kind.PREFAULT


class Step(NamedTuple):
    """One operation in a trace: its index, what it did on each side, and what that side maps now.

    `maps` holds, for each side, the leaves that map the gfn of a guest access.
    """

    op_index: int
    op: Op
    left: Outcome | None
    right: Outcome | None
    maps: tuple[tuple[Leaf, ...], ...]
    divergences: tuple[Divergence, ...]
    walks: tuple[tuple[str, ...], ...] = ()
    """Of a guest with page tables: its walk and KVM's, in text, for each side."""


def run(
    program: Program,
    left: SideFactory,
    right: SideFactory,
    *,
    trace: bool = False,
    notes: NoteTaker | None = None,
    max_steps: int = STEP_LIMIT,
) -> Verdict:
    """Runs a program on two sides, up to the first operation after which an oracle objects.

    A run of more than `max_steps` preemption points on one side is abandoned (and counted among
    the allowed differences as `abandoned`), unless it may be going in circles: then it is run
    again without a limit, and circles are a divergence.
    UsageError if a side cannot run the program's configuration.
    """
    with without_collector():
        lockstep = Lockstep(
            program.config, left, right, trace=trace, notes=notes, max_steps=max_steps
        )
        for op in program.ops:
            if not lockstep.step(op):
                break
        if not lockstep.in_circles:
            return lockstep.finish()
    # Only without a limit can it be told from a long way.
    return run(program, left, right, trace=trace, notes=notes)


@contextmanager
def without_collector() -> Iterator[None]:
    """Puts garbage collection off: a run's objects live until its end, and then go by themselves.

    What a collector finds to do in the middle is to look at all of them, again and again.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Lockstep:
    """A run that is fed operation by operation."""

    __slots__ = (
        "_index",
        "_levels_differ",
        "_limits",
        "_memory",
        "_notes",
        "_sides",
        "_trace",
        "verdict",
    )

    def __init__(
        self,
        config: Config,
        left: SideFactory,
        right: SideFactory,
        *,
        trace: bool = False,
        notes: NoteTaker | None = None,
        max_steps: int = STEP_LIMIT,
    ) -> None:
        if config.guest != "none":
            raise UsageError(f"guest={config.guest}: difffuzz/engine/guest_lockstep.py runs those")
        self.verdict = Verdict()
        self._notes = notes
        self._memory = MemoryMap(config)
        self._levels_differ = levels_differ(config)
        self._sides: list[JudgedSide] = []
        self._trace = trace
        self._index = -1
        self._limits: list[int] = []
        for number, factory in enumerate((left, right)):
            try:
                if notes is not None:
                    side = notes.start(number, factory, config)
                else:
                    side = factory.start(config)
            except KernelSplat as splat:
                violation = Violation(splat.oracle, factory.name, splat.where, splat.text)
                self._report([violation], "start", None)
                return
            except UsageError:
                raise
            except Exception as error:  # a crash of the model is a finding
                self._report([crash(factory.name, error)], "start", None)
                return
            limited = max_steps < STEP_LIMIT
            limit = max_steps if limited else factory.step_limit
            side.sched.budget += limit - STEP_LIMIT
            self._limits.append(limit)
            verdict = self.verdict
            self._sides.append(
                JudgedSide(
                    number,
                    side,
                    config,
                    self._memory,
                    verdict.allowed,
                    verdict.features,
                    limited,
                    factory.step_limit,
                )
            )

    @property
    def in_circles(self) -> bool:
        """True if a side ran out of steps in an operation that wrote next to nothing."""
        return any(judged.in_circles for judged in self._sides)

    def step(self, op: Op) -> bool:
        """Runs one operation on both sides; False if that ended the run."""
        self._index += 1
        verdict = self.verdict
        todo = self._with_ends(op)
        while todo and not verdict.divergences:
            now = todo.pop(0)
            outcomes = self._run_op(now)
            if now.kind == BEGIN_FAULT and parked_on_one_side(outcomes):
                verdict.allowed["parked-on-one-side"] += 1
                todo.append(Op(END_FAULT, now.thread, ()))
            for judged in self._sides:
                if judged.abandoned:
                    verdict.allowed["abandoned"] += 1
                    return False
        if verdict.divergences:
            return False
        verdict.operations += 1
        # With different data behind it, nothing that follows can be compared.
        return verdict.allowed.keys().isdisjoint(PART_WAYS)

    def finish(self) -> Verdict:
        """After the last operation: the VMs are destroyed, unless a divergence ended the run."""
        verdict = self.verdict
        verdict.steps = sum(
            limit - judged.side.sched.budget
            for limit, judged in zip(self._limits, self._sides, strict=True)
        )
        if not verdict.divergences and not verdict.allowed["abandoned"]:
            for judged in self._sides:
                judged.finish(self._index + 2)
                self._report(judged.violations, "end", None)
        return verdict

    def _with_ends(self, op: Op) -> list[Op]:
        """The operation, after the ends of those parked faults that it has to wait for.

        A memslot update waits for all (SRCU), any other operation of a vCPU for its own.
        """
        parked: set[int] = set()
        for judged in self._sides:
            if judged.parked:
                parked |= judged.parked
        if not parked:
            return [op]
        if op.kind in MEMSLOT_UPDATES:
            ends = sorted(parked)
        elif op.thread in parked and op.kind not in (Kind.BEGIN_FAULT, Kind.END_FAULT):
            ends = [op.thread]
        else:
            ends = []
        return [*(Op(Kind.END_FAULT, thread, ()) for thread in ends), op]

    def _run_op(self, op: Op) -> list[Outcome | None]:
        """One operation on both sides, and everything the oracles say to it."""
        verdict, memory = self.verdict, self._memory
        kind, thread, _ = op
        one, other = self._sides
        one.before(op)
        other.before(op)
        # Numbers start at 1: fresh memory reads as 0.
        if self._notes is None:
            left = one.execute(op, self._index + 1)
            right = other.execute(op, self._index + 1)
        else:
            left, right = self._noted(self._notes, op)
        outcomes = [left, right]
        as_id = memory.smm[thread] if thread < 4 else 0
        if left is not None and right is not None:
            memory.apply(op, left.value)
        for judged, outcome in ((one, left), (other, right)):
            if outcome is not None:
                judged.after(op, outcome, as_id)
                verdict.features.add(answer(judged.index, kind, outcome))
            if judged.violations:
                self._report(judged.violations, kind.name.lower(), self._index)
        if IS_COMPARED[kind] and left is not None and right is not None:
            if not verdict.divergences:
                self._compare(op, left, right)
        if self._trace or verdict.divergences:
            maps = tuple(
                judged.maps(as_id, op, outcome)
                for judged, outcome in zip(self._sides, outcomes, strict=True)
            )
            divergences = tuple(verdict.divergences)
            verdict.trace.append(Step(self._index, op, left, right, maps, divergences))
        return outcomes

    def _noted(self, notes: NoteTaker, op: Op) -> list[Outcome | None]:
        outcomes = []
        for judged in self._sides:
            notes.begins(judged.index, self._index, op)
            outcomes.append(judged.execute(op, self._index + 1))
            notes.ends(judged.index, op, outcomes[-1])
        return outcomes

    def _compare(self, op: Op, left: Outcome, right: Outcome) -> None:
        if alike(left, right):
            return
        one, other = self._sides
        models = one.model is not None and other.model is not None
        memory = self._memory
        kind = op.kind
        if kind in AGING:
            if models:
                both = f"{one.side.name}/{other.side.name}"
                differs = list(compare_answers(both, left, right))
                if differs and one.comparable and other.comparable:
                    if one.walked != other.walked:
                        self.verdict.allowed["cached-on-one-side"] += 1
                    else:
                        self._report(differs, kind.name.lower(), self._index)
            return
        if kind in RECLAIMS_PAGES:
            self.verdict.allowed["freed-on-one-side"] += 1
            return
        if kind == PREFAULT and (not models or lacking(left, right, self.verdict.allowed)):
            return
        fetch = kind == EXEC or left.access == EXEC
        may_be_absent = False
        if kind <= END_FAULT:
            gfn = left.fault_gfn if kind == END_FAULT else op.args[0]
            as_id = memory.smm[op.thread]
            if one.loses_mappings or other.loses_mappings:
                may_be_absent = memory.tracked(as_id, gfn)
            apart = models and emulated_on_one_side(left, right)
            if apart and self._levels_differ and memory.tracked(as_id, gfn):
                self.verdict.allowed["tables-shared"] += 1
                return
            if apart and self._over_tracked(as_id, gfn):
                self.verdict.allowed["huge-over-tracked"] += 1
                return
            if models and self._table_linked_again(left, right):
                self.verdict.allowed["table-kept"] += 1
                return
        violations = compare_outcomes(
            one.side.name,
            other.side.name,
            left,
            right,
            models,
            fetch and memory.nx,
            may_be_absent,
            self.verdict.allowed,
            self._levels_differ,
        )
        self._report(list(violations), kind.name.lower(), self._index)

    def _table_linked_again(self, left: Outcome, right: Outcome) -> bool:
        """True if of the same access the legacy MMU says that the SPTE was there, and the TDP MMU
        made it: with all else at rest, what was missing on the one side was a link above it."""
        one, other = self._sides
        assert one.model is not None
        assert other.model is not None
        if one.model.tdp_mmu == other.model.tdp_mmu or left.parked_rets or right.parked_rets:
            return False
        legacy, tdp = (right, left) if one.model.tdp_mmu else (left, right)
        same = (legacy.result, legacy.value) == (tdp.result, tdp.value)
        return same and (legacy.rets, tdp.rets) == ((RET_PF_SPURIOUS,), (RET_PF_FIXED,))

    def _over_tracked(self, as_id: int, gfn: int) -> bool:
        """True if a side maps `gfn`, which is not tracked, by a read-only huge page whose first gfn
        is tracked, through either address space."""
        memory = self._memory
        if memory.tracked(as_id, gfn):
            return False
        for judged in self._sides:
            assert judged.model is not None
            for _, leaf in judged.model.tables.leaves_in(as_id, gfn, gfn + 1):
                first = gfn & -(1 << (9 * (leaf.level - 1)))
                if leaf.level > 1 and not leaf.writable and memory.tracked(as_id, first):
                    return True
        return False

    def _report(self, violations: list[Violation], operation: str, index: int | None) -> None:
        """Adds violations to the verdict, one for each signature."""
        for violation in violations:
            self.verdict.report(violation, operation, index)
        violations.clear()


def parked_on_one_side(outcomes: list[Outcome | None]) -> bool:
    """True if only one side's access faulted: its page is held there, which the host could see."""
    left, right = outcomes
    return left is not None and right is not None and left.parked != right.parked
