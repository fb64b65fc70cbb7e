# SPDX-License-Identifier: GPL-2.0-only
"""Pass: operations on fewer threads."""

from __future__ import annotations

from ...program import OPS, Op, Program
from ..proposals import Proposals, with_op, with_ops


def fewer_threads(program: Program) -> Proposals:
    """Move operations to the first thread that may run them: a whole thread's, then single ones.

    Pays for programs of several threads that need no race.  Costs a proposal a thread and one an
    operation.  Keeps the order of operations and their arguments.
    """
    for thread in sorted({op.thread for op in program.ops}, reverse=True):
        moved = tuple(_at_home(op) if op.thread == thread else op for op in program.ops)
        plainer = with_ops(program, moved)
        if (yield plainer):
            program = plainer
    for at in range(len(program.ops)):
        plainer = with_op(program, at, _at_home(program.ops[at]))
        if (yield plainer):
            program = plainer


def _at_home(op: Op) -> Op:
    return op._replace(thread=OPS[op.kind].threads[0])
