# SPDX-License-Identifier: GPL-2.0-only
"""Passes: no threads at once, fewer switches between them, and earlier ones."""

from __future__ import annotations

from ...program import Kind, Op, Program, is_concurrent, normalise
from ...program.limits import VCPU_THREADS
from ...program.model import RUN_TO_BLOCK
from ..proposals import Proposals, plainer_numbers
from .operations import ACCESSES

NEAR = 16
"""Steps before a switch that are all tried in its place."""


def drop_schedule(program: Program) -> Proposals:
    """Run one operation after the other, with a fault parked over what comes between if need be.

    Pays for races with the window of a fault, the first time: what is left has no schedule at all.
    Costs two proposals, and one for each access and operation behind it that it may wait for.
    Keeps the order of operations but for the parked one, which becomes two.
    """
    if not is_concurrent(program):
        return
    ops = tuple(op for op in program.ops if op.kind != Kind.SYNC)
    by_thread = tuple(
        op for phase in _phases(program.ops) for op in sorted(phase, key=lambda op: op.thread)
    )
    orders = dict.fromkeys((ops, by_thread))
    for order in orders:
        if (yield normalise(Program(program.config, order))) is not None:
            return
    for order in orders:
        for parked in _parked(order):
            if (yield normalise(Program(program.config, parked))) is not None:
                return


def _phases(ops: tuple[Op, ...]) -> list[list[Op]]:
    phases: list[list[Op]] = [[]]
    for op in ops:
        if op.kind == Kind.SYNC:
            phases.append([])
        else:
            phases[-1].append(op)
    return phases


def _parked(ops: tuple[Op, ...]) -> list[tuple[Op, ...]]:
    """An access begins, others go on, it ends; for each access, the longest wait first."""
    made = []
    for at, op in enumerate(ops):
        if op.kind not in ACCESSES or op.thread not in VCPU_THREADS:
            continue
        begin = Op(Kind.BEGIN_FAULT, op.thread, (op.args[0], ACCESSES.index(op.kind)))
        end = Op(Kind.END_FAULT, op.thread)
        rest = ops[at + 1 :]
        own = next((i for i, one in enumerate(rest) if one.thread == op.thread), len(rest))
        made += [
            (*ops[:at], begin, *rest[:until], end, *rest[until:]) for until in range(own, 0, -1)
        ]
    return made


def drop_switches(program: Program) -> Proposals:
    """Leave out runs of the schedule's switches; all of them: run to block.

    Pays for programs with a schedule only.  Costs some 2 s proposals for s switches.  Keeps
    operations and the steps of the switches that stay.
    """
    width = len(program.schedule)
    while width:
        end = len(program.schedule)
        while end > 0:
            start = max(0, end - width)
            schedule = program.schedule[:start] + program.schedule[end:]
            shorter = normalise(program._replace(schedule=schedule or RUN_TO_BLOCK))
            if taken := (yield shorter):
                program = taken
            end = start
        width //= 2


def earlier_switches(program: Program) -> Proposals:
    """Make one step of the schedule earlier.

    Pays last: a step means another place as soon as an operation changes.  Costs up to ten
    proposals a switch, and sixteen for the steps just before it.  Keeps operations, and the number
    of switches unless two meet.
    """
    if program.schedule == RUN_TO_BLOCK:
        return
    for at in range(len(program.schedule)):
        if at >= len(program.schedule):  # two switches met in one step
            return
        step = program.schedule[at][0]
        first = program.schedule[at - 1][0] + 1 if at else 0
        near = range(max(first, step - NEAR), step)
        for plain in sorted({*plainer_numbers(step), *near}):
            schedule = program.schedule
            changed = (*schedule[:at], (plain, schedule[at][1]), *schedule[at + 1 :])
            plainer = normalise(program._replace(schedule=changed))
            if taken := (yield plainer):
                program = taken
                break
