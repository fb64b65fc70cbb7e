# SPDX-License-Identifier: GPL-2.0-only
"""What a pass is, and the changes of a program that passes propose.

A pass is a generator.  It yields normalised programs, is told whether each one was taken, and goes
on from there.  Its first line says what it leaves out or makes plainer, the rest when it pays, what
it costs (proposals, of n operations) and what it keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from ..program import Op, Program, normalise

Proposals = Generator[Program, bool, None]
Pass = Callable[[Program], Proposals]


def plainer_numbers(value: int) -> list[int]:
    """Smaller values worth trying for a count of pages, a gfn, a flag or a step; plainest first."""
    tries = {0, 1, 2, 8, 0x200, value & ~0x3FFFF, value & ~0x1FF, value & 0x1FF, value >> 1}
    tries.add(value & value - 1)  # without its lowest bit
    return sorted(plain for plain in tries if 0 <= plain < value)


def with_ops(program: Program, ops: tuple[Op, ...]) -> Program:
    """With these operations, normalised."""
    return normalise(program._replace(ops=ops))


def with_op(program: Program, at: int, op: Op) -> Program:
    """With another operation in that place."""
    return with_ops(program, (*program.ops[:at], op, *program.ops[at + 1 :]))


def with_config(program: Program, **changes: object) -> Program:
    """With these fields of the configuration changed."""
    return normalise(program._replace(config=program.config._replace(**changes)))  # type: ignore[arg-type]


def swap(values: tuple[int, ...], old: int, new: int) -> tuple[int, ...]:
    """Every `old` replaced by `new`."""
    return tuple(new if value == old else value for value in values)
