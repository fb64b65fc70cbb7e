# SPDX-License-Identifier: GPL-2.0-only
"""Passes: fewer operations, plainer ones, in a plain order."""

from __future__ import annotations

from ...program import OPS, Kind, Op, Program
from ..proposals import Proposals, with_op, with_ops
from ..size import ROW

ACCESSES = (Kind.READ, Kind.WRITE, Kind.EXEC)
"""By what `begin_fault` calls them."""
MAX_PAIR_OPS = 24
"""Operations of a program whose pairs are all tried."""


def drop_operations(program: Program) -> Proposals:
    """Leave out runs of operations: all, halves, quarters, ... single ones; from the end.

    Pays first: what is left out here costs no other pass anything.  Costs some 2 n proposals.
    Keeps the order, arguments and threads of what stays.
    """
    width = len(program.ops)
    while width:
        end = len(program.ops)
        while end > 0:
            start = max(0, end - width)
            shorter = with_ops(program, program.ops[:start] + program.ops[end:])
            if taken := (yield shorter):
                program = taken
            end = start
        width //= 2


def drop_pairs(program: Program) -> Proposals:
    """Leave out two operations that only make sense together, such as a begin and its end.

    Pays when single ones cannot go any more: a begin without its end shows something else.  Costs
    up to n * n / 2 proposals, so it does nothing for more than MAX_PAIR_OPS.  Keeps the rest as is,
    and ends with the first pair that goes, for drop_operations may go on from there.
    """
    ops = program.ops
    if len(ops) > MAX_PAIR_OPS:
        return
    for second in reversed(range(len(ops))):
        for first in reversed(range(second)):
            kept = ops[:first] + ops[first + 1 : second] + ops[second + 1 :]
            if (yield with_ops(program, kept)) is not None:
                return


def not_parked(program: Program) -> Proposals:
    """Put an access in the place of the end of a parked fault, or of its begin, and no other there.

    Pays where the fault shows the same without a wait.  Costs two proposals a fault.  Keeps the
    rest; drop_pairs does not get there, for what begins such a fault shows nothing by itself.
    """
    for at in range(len(program.ops)):
        ops = program.ops
        if at >= len(ops) or ops[at].kind != Kind.BEGIN_FAULT:
            continue
        thread, (gfn, access) = ops[at].thread, ops[at].args
        plain = Op(ACCESSES[access], thread, (gfn,))
        ends = (n for n in range(at + 1, len(ops)) if ops[n] == Op(Kind.END_FAULT, thread))
        end = next(ends, None)
        if end is None:
            continue
        between, rest = ops[at + 1 : end], ops[end + 1 :]
        for unparked in ((*between, plain, *rest), (plain, *between, *rest)):
            if taken := (yield with_ops(program, ops[:at] + unparked)):
                program = taken
                break


def weaker_operations(program: Program) -> Proposals:
    """Put a plainer kind in the place of one: a read for an exec, dontneed for munmap or migrate.

    Pays once operations are few.  Costs up to a dozen proposals an operation.  Keeps its thread, if
    that may run the plainer one, and the arguments that both kinds have.
    """
    for at in range(len(program.ops)):
        for kind in ROW.get(program.ops[at].kind, ()):
            op = program.ops[at]
            if kind == op.kind:
                break
            if taken := (yield with_op(program, at, as_kind(op, kind))):
                program = taken
                break


def plain_ends(program: Program) -> Proposals:
    """Put the end of a parked fault in the place of what ends it besides, as a memslot update does.

    Pays where that is all that the operation was there for.  Costs a proposal for each operation
    that stands behind the begin of a fault, and each vCPU with such a fault.  Keeps the rest.
    """
    for at in range(len(program.ops)):
        if program.ops[at].kind <= Kind.END_FAULT:
            continue
        begun = {op.thread for op in program.ops[:at] if op.kind == Kind.BEGIN_FAULT}
        for thread in sorted(begun):
            if taken := (yield with_op(program, at, Op(Kind.END_FAULT, thread))):
                program = taken
                break


def as_kind(op: Op, kind: Kind) -> Op:
    """The operation as one of another kind: its arguments by name, the lowest where it has none."""
    given = dict(zip((field.name for field in OPS[op.kind].fields), op.args, strict=True))
    fields = OPS[kind].fields
    args = tuple(given.get(field.name, field.type.low) for field in fields)
    return Op(kind, op.thread, args)


def plain_order(program: Program) -> Proposals:
    """Put an operation as far to the front as the order of programs would have it.

    Pays last, where several orders show the same.  Costs up to n * n / 2 proposals.  Keeps what
    the operations are.
    """
    for at in range(1, len(program.ops)):
        for to in range(at):
            ops = program.ops
            if ops[at] < ops[to]:
                moved = (*ops[:to], ops[at], *ops[to:at], *ops[at + 1 :])
                if taken := (yield with_ops(program, moved)):
                    program = taken
                    break
