# SPDX-License-Identifier: GPL-2.0-only
"""Lockstep: operations one at a time, in program order, on both sides, compared after each."""

from __future__ import annotations

from typing import NamedTuple

from difffuzz.engine.features import answer
from difffuzz.engine.watch import ACCESS_KINDS, Watch
from difffuzz.oracle import Divergence, Verdict, Violation, signature
from difffuzz.oracle.access import compare_outcomes
from difffuzz.program import Kind, Op, Program
from difffuzz.sched import KernelSplat
from difffuzz.sides import SideFactory
from difffuzz.sides.base import Outcome
from difffuzz.sides.memory_map import MemoryMap

COMPARED_KINDS = frozenset(
    (*ACCESS_KINDS, Kind.END_FAULT, Kind.DIRTY_GET, Kind.DIRTY_CLEAR, Kind.HOST_READ)
) | frozenset(range(Kind.MEMSLOT_CREATE, Kind.MEMSLOT_FLAGS + 1))
MEMSLOT_UPDATES = frozenset(
    {Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE, Kind.MEMSLOT_FLAGS}
)


class Step(NamedTuple):
    """One operation in a trace: its index, and what it did on each side."""

    op_index: int
    op: Op
    left: Outcome | None
    right: Outcome | None
    divergences: tuple[Divergence, ...]


def run(program: Program, left: SideFactory, right: SideFactory, *, trace: bool = False) -> Verdict:
    """Runs a program on two sides, up to the first operation after which an oracle objects.

    UsageError if a side cannot run the program's configuration.
    """
    verdict = Verdict()
    config = program.config
    memory = MemoryMap(config)
    watches: list[Watch] = []
    for index, factory in enumerate((left, right)):
        try:
            side = factory.start(config)
        except KernelSplat as splat:
            violation = Violation(splat.oracle, factory.name, splat.where, splat.text)
            _report(verdict, [violation], "start", None)
            return verdict
        watches.append(Watch(index, side, config, memory, verdict.allowed, verdict.features))
    for index, op in enumerate(program.ops):
        steps = expand(op, watches)
        while steps:
            step = steps.pop(0)
            outcomes = _step(verdict, watches, memory, step, index)
            if trace or verdict.divergences:
                verdict.trace.append(
                    Step(index, step, outcomes[0], outcomes[1], tuple(verdict.divergences))
                )
            if verdict.divergences:
                return verdict
            if step.kind == Kind.BEGIN_FAULT and parked_on_one_side(outcomes):
                verdict.allowed["parked-on-one-side"] += 1
                steps.append(Op(Kind.END_FAULT, step.thread, ()))
        verdict.operations += 1
    for watch in watches:
        watch.finish(len(program.ops) + 1)
        _report(verdict, watch.violations, "end", None)
    return verdict


def expand(op: Op, watches: list[Watch]) -> list[Op]:
    """An operation, after the ends of those parked faults that it has to wait for.

    A memslot update waits for all (SRCU), any other operation of a vCPU for its own.
    """
    parked = sorted({thread for watch in watches for thread in watch.parked})
    if not parked:
        return [op]
    if op.kind in MEMSLOT_UPDATES:
        ends = parked
    elif op.thread in parked and op.kind not in (Kind.BEGIN_FAULT, Kind.END_FAULT):
        ends = [op.thread]
    else:
        return [op]
    return [*(Op(Kind.END_FAULT, thread, ()) for thread in ends), op]


def parked_on_one_side(outcomes: list[Outcome | None]) -> bool:
    """True if only one side's access faulted: its page is held there, which the host could see."""
    left, right = outcomes
    return left is not None and right is not None and left.parked != right.parked


def _step(
    verdict: Verdict, watches: list[Watch], memory: MemoryMap, op: Op, index: int
) -> list[Outcome | None]:
    """One operation on both sides, and everything the oracles say to it."""
    for watch in watches:
        watch.before(op)
    # Numbers start at 1: fresh memory reads as 0.
    outcomes = [watch.execute(op, index + 1) for watch in watches]
    as_id = memory.smm[op.thread] if op.thread < 4 else 0
    left, right = outcomes
    if left is not None and right is not None:
        memory.apply(op, left.value)
    for watch, outcome in zip(watches, outcomes, strict=True):
        if outcome is not None:
            watch.after(op, outcome, as_id)
            verdict.features.add(answer(watch.index, op.kind, outcome))
        _report(verdict, watch.violations, op.kind.name.lower(), index)
    if not verdict.divergences and left is not None and right is not None:
        if op.kind in COMPARED_KINDS:
            models = watches[0].model is not None and watches[1].model is not None
            names = watches[0].side.name, watches[1].side.name
            fetch = op.kind == Kind.EXEC or left.access == int(Kind.EXEC)
            violations = list(
                compare_outcomes(*names, left, right, models, fetch and memory.nx, verdict.allowed)
            )
            _report(verdict, violations, op.kind.name.lower(), index)
    return outcomes


def _report(
    verdict: Verdict, violations: list[Violation], operation: str, index: int | None
) -> None:
    """Adds violations to the verdict, one for each signature."""
    known = {divergence.signature for divergence in verdict.divergences}
    for violation in violations:
        name = signature(violation, operation)
        if name not in known:
            known.add(name)
            detail = f"{violation.side}: {violation.detail}"
            verdict.divergences.append(Divergence(violation.oracle, name, detail, index))
    violations.clear()
