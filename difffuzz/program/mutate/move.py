# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: move a run of operations to another position, or to another thread."""

from __future__ import annotations

from random import Random
from typing import Final

from ..model import Program
from ..normalise import normalise
from ..ops import OPS

name: Final = "move"


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """The program with the same operations in another order, or with one on another thread."""
    ops = program.ops
    if not ops:
        return program
    first = int(rng.random() * len(ops))
    if rng.random() < 0.25:
        op = ops[first]
        moved = op._replace(thread=rng.choice(OPS[op.kind].threads))
        changed = (*ops[:first], moved, *ops[first + 1 :])
    else:
        count = rng.choice((1, 1, 1, 2, 3))
        run = ops[first : first + count]
        rest = (*ops[:first], *ops[first + count :])
        at = int(rng.random() * (len(rest) + 1))
        if rng.random() < 0.5:
            at = min(max(first + rng.choice((-2, -1, 1, 2)), 0), len(rest))
        changed = (*rest[:at], *run, *rest[at:])
    return normalise(Program(program.config, changed, program.schedule))
