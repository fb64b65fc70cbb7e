# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: delete a run of operations, or all of one thread or of one kind.

Long programs lose long runs: that keeps a campaign's programs at some dozens of operations.
"""

from __future__ import annotations

from random import Random
from typing import Final

from ..model import Program
from ..normalise import normalise

name: Final = "delete"


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """The program with fewer operations; the same one if it has none."""
    ops = program.ops
    if not ops:
        return program
    at = int(rng.random() * len(ops))
    way = rng.random()
    if way < 0.9:
        count = rng.choice((1, 1, 1, 2, 4, 1 + len(ops) // 3))
        left = (*ops[:at], *ops[at + count :])
    elif way < 0.95:
        left = tuple(op for op in ops if op.thread != ops[at].thread)
    else:
        left = tuple(op for op in ops if op.kind != ops[at].kind)
    return normalise(Program(program.config, left, program.schedule))
