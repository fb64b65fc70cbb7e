# SPDX-License-Identifier: GPL-2.0-only
"""Passes: operations on fewer threads, and these by the number of their first use."""

from __future__ import annotations

from ...program import OPS, Op, Program, normalise
from ...program.limits import HOST_THREADS, THREADS, VCPU_THREADS
from ..proposals import Proposals, with_op, with_ops


def fewer_threads(program: Program) -> Proposals:
    """Move operations to the first thread that may run them: a whole thread's, then single ones.

    Pays for programs of several threads that need no race.  Costs a proposal a thread and one an
    operation.  Keeps the order of operations and their arguments.
    """
    for thread in sorted({op.thread for op in program.ops}, reverse=True):
        moved = tuple(_at_home(op) if op.thread == thread else op for op in program.ops)
        plainer = with_ops(program, moved)
        if taken := (yield plainer):
            program = taken
    for at in range(len(program.ops)):
        plainer = with_op(program, at, _at_home(program.ops[at]))
        if taken := (yield plainer):
            program = taken


def swap_threads(program: Program) -> Proposals:
    """Let two threads of a kind change their names.

    Pays where which vCPU does what makes no difference.  Costs up to six proposals.  Keeps which
    operations share a thread, and the schedule in its new names.
    """
    for threads in (VCPU_THREADS, HOST_THREADS):
        for high in reversed(threads):
            for low in threads:
                if low >= high:
                    break
                names = {low: high, high: low}
                ops = tuple(
                    op._replace(thread=names.get(op.thread, op.thread)) for op in program.ops
                )
                schedule = tuple((step, _renamed(names, to)) for step, to in program.schedule)
                swapped = normalise(program._replace(ops=ops, schedule=schedule))
                if taken := (yield swapped):
                    program = taken


def _at_home(op: Op) -> Op:
    return op._replace(thread=OPS[op.kind].threads[0])


def _renamed(names: dict[int, int], to: int) -> int:
    """What a schedule names, a thread or its store buffer, in its new name."""
    thread = to % len(THREADS)
    return to - thread + names.get(thread, thread)
