# SPDX-License-Identifier: GPL-2.0-only
"""Passes: fewer operations."""

from __future__ import annotations

from ...program import Program
from ..proposals import Proposals, with_ops

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
            if (yield shorter):
                program = shorter
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
            if (yield with_ops(program, kept)):
                return
