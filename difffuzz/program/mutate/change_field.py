# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: give one argument of one operation another value."""

from __future__ import annotations

from random import Random
from typing import Final

from ..fields import FieldType
from ..model import Program
from ..normalise import normalise
from ..op_maker import any_value
from ..ops import OPS

name: Final = "change_field"
_STEPS: Final = (1, -1, 2, -2, 8, 64, 512, -512)
_TRIES: Final = 4


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """The program with one argument changed; the same one if no argument was met."""
    ops = program.ops
    for _ in range(_TRIES if ops else 0):
        at = int(rng.random() * len(ops))
        op = ops[at]
        if op.args:
            n = int(rng.random() * len(op.args))
            value = _another(op.args[n], OPS[op.kind].fields[n].type, rng)
            changed = op._replace(args=(*op.args[:n], value, *op.args[n + 1 :]))
            return normalise(
                Program(program.config, (*ops[:at], changed, *ops[at + 1 :]), program.schedule)
            )
    return program


def _another(value: int, kind: FieldType, rng: Random) -> int:
    """Another value of the type: a step away, a hot one, or any."""
    way = rng.random()
    if not kind.hot:
        size = kind.high - kind.low + 1
        return kind.low + (value - kind.low + 1 + int(rng.random() * (size - 1))) % size
    if way < 0.4:
        return value + rng.choice(_STEPS)
    if way < 0.9:
        return any_value(rng, kind)
    return rng.randint(kind.low, kind.high)
