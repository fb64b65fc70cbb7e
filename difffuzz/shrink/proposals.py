# SPDX-License-Identifier: GPL-2.0-only
"""What a pass is, and the changes of a program that passes propose.

A pass is a generator.  It yields normalised programs, is sent back each one that was taken, maybe
under another schedule (None: it was not), and goes on from there.  Its first line says what it
leaves out or makes plainer, the rest when it pays, what it costs (proposals, of n operations) and
what it keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from ..program import OPS, Op, Program, SlotSpec, normalise
from ..program.fields import FieldType
from ..program.ops import SLOT_FIELDS

Proposals = Generator[Program, Program | None, None]
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


def with_values(program: Program, kind: FieldType, new: Callable[[int], int]) -> Program:
    """With every argument, and every number of an initial slot, of that type replaced."""
    slots = tuple(
        SlotSpec(*(new(v) if f.type is kind else v for v, f in zip(slot, SLOT_FIELDS, strict=True)))
        for slot in program.config.slots
    )
    ops = tuple(
        op._replace(
            args=tuple(
                new(v) if f.type is kind else v
                for v, f in zip(op.args, OPS[op.kind].fields, strict=True)
            )
        )
        for op in program.ops
    )
    return with_config(program._replace(ops=ops), slots=slots)


def renamed(program: Program, kind: FieldType, old: int, new: int) -> Program:
    """With `old` replaced by `new` in all numbers of that type."""
    return with_values(program, kind, lambda value: new if value == old else value)
