# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: repeat a run of operations, as it is, on another thread, or walking over gfns."""

from __future__ import annotations

from random import Random
from typing import Final

from ..fields import GFN
from ..model import Op, Program
from ..normalise import normalise
from ..ops import OPS

name: Final = "duplicate"
_STRIDES: Final = (1, 1, 8, 512, 512, -1, 512 * 512)


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """The program with a copy of some operations behind themselves or elsewhere."""
    ops = program.ops
    if not ops:
        return program
    first = int(rng.random() * len(ops))
    run = ops[first : first + rng.choice((1, 1, 2, 3, 8))]
    way = rng.random()
    at = first + len(run) if rng.random() < 0.5 else int(rng.random() * (len(ops) + 1))
    if way < 0.2:
        run = tuple(_elsewhere(op, rng) for op in run)
    elif way < 0.4:
        run = _walk(run[0], rng)
    return normalise(Program(program.config, (*ops[:at], *run, *ops[at:]), program.schedule))


def _elsewhere(op: Op, rng: Random) -> Op:
    """The operation on a thread of the same class."""
    return op._replace(thread=rng.choice(OPS[op.kind].threads))


def _walk(op: Op, rng: Random) -> tuple[Op, ...]:
    """The operation at several gfns, a stride apart; enough of them to meet the MMU page limit."""
    spec = OPS[op.kind]
    at = next((n for n, field in enumerate(spec.fields) if field.type is GFN), None)
    if at is None:
        return (op,)
    stride = rng.choice(_STRIDES)
    return tuple(
        op._replace(args=(*op.args[:at], op.args[at] + turn * stride, *op.args[at + 1 :]))
        for turn in range(1, rng.choice((2, 2, 3, 3, 4, 6, 10, 70)))
    )
