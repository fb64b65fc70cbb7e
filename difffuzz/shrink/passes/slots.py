# SPDX-License-Identifier: GPL-2.0-only
"""Passes: fewer slots at the start, nearer to zero, with smaller numbers."""

from __future__ import annotations

from ...program import OPS, Kind, Program, SlotSpec
from ...program.fields import GFN, PAGE, Field, FieldType
from ...program.ops import SLOT_FIELDS
from ..proposals import Proposals, plainer_numbers, with_config


def drop_slots(program: Program) -> Proposals:
    """Leave out a slot that exists at the start.

    Pays once operations are few.  Costs a proposal a slot.  Keeps operations as they are.
    """
    for at in reversed(range(len(program.config.slots))):
        slots = program.config.slots
        fewer = with_config(program, slots=slots[:at] + slots[at + 1 :])
        if (yield fewer):
            program = fewer


def move_slots(program: Program) -> Proposals:
    """Move a slot to smaller gfns, or pages of its area, together with everything inside it.

    Pays before single numbers are made smaller, which would part a slot and what is inside it.
    Costs up to twenty proposals a slot.  Keeps all distances inside the slot.
    """
    for at in range(len(_all_slots(program))):
        for kind, position in ((GFN, 2), (PAGE, 5)):
            slots = _all_slots(program)
            if at >= len(slots):
                return
            start = slots[at][position]
            span = range(start, start + slots[at].npages)
            for plain in plainer_numbers(start):
                moved = _shift(program, kind, span, plain - start)
                if (yield moved):
                    program = moved
                    break


def smaller_slots(program: Program) -> Proposals:
    """Make one number of one initial slot smaller.

    Pays last.  Costs up to ten proposals a number.  Keeps operations as they are.
    """
    for at in range(len(program.config.slots)):
        for field in SLOT_FIELDS:
            if at >= len(program.config.slots):  # normalising took one that clashed
                return
            for plain in plainer_numbers(getattr(program.config.slots[at], field.name)):
                slots = program.config.slots
                slot = slots[at]._replace(**{field.name: plain})
                plainer = with_config(program, slots=(*slots[:at], slot, *slots[at + 1 :]))
                if (yield plainer):
                    program = plainer
                    break


def _all_slots(program: Program) -> list[SlotSpec]:
    """Those that exist at the start, and those that are created."""
    created = (SlotSpec(*op.args) for op in program.ops if op.kind == Kind.MEMSLOT_CREATE)
    return [*program.config.slots, *created]


def _shift(program: Program, kind: FieldType, span: range, offset: int) -> Program:
    """The program with every number of that type within the span moved."""

    def shift(value: int, field: Field) -> int:
        return value + offset if field.type is kind and value in span else value

    slots = tuple(
        SlotSpec(*(shift(value, field) for value, field in zip(slot, SLOT_FIELDS, strict=True)))
        for slot in program.config.slots
    )
    ops = tuple(
        op._replace(
            args=tuple(
                shift(value, field)
                for value, field in zip(op.args, OPS[op.kind].fields, strict=True)
            )
        )
        for op in program.ops
    )
    return with_config(program._replace(ops=ops), slots=slots)
