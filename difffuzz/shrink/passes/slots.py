# SPDX-License-Identifier: GPL-2.0-only
"""Passes: fewer slots at the start, nearer to zero, with smaller numbers."""

from __future__ import annotations

from ...program import Kind, Op, Program, SlotSpec
from ...program.fields import GFN, PAGE, FieldType
from ...program.ops import SLOT_FIELDS
from ..proposals import Proposals, plainer_numbers, with_config, with_values

_2M = 512
"""4K pages of a 2M page."""


def drop_slots(program: Program) -> Proposals:
    """Leave out a slot that exists at the start.

    Pays once operations are few.  Costs a proposal a slot.  Keeps operations as they are.
    """
    for at in reversed(range(len(program.config.slots))):
        slots = program.config.slots
        fewer = with_config(program, slots=slots[:at] + slots[at + 1 :])
        if taken := (yield fewer):
            program = taken


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
                if taken := (yield moved):
                    program = taken
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
                if taken := (yield plainer):
                    program = taken
                    break


def shorter_slots(program: Program) -> Proposals:
    """Make an initial slot shorter, and clear its log up to its new end only.

    Pays where operations name pages of a slot by its end, which single numbers part.  Costs up to
    ten proposals a slot.  Keeps where the slot begins, and all other operations.
    """
    for at in range(len(program.config.slots)):
        if at >= len(program.config.slots):  # normalising took one that clashed
            return
        for pages in plainer_numbers(program.config.slots[at].npages):
            slot = program.config.slots[at]
            slots = program.config.slots
            shorter = (*slots[:at], slot._replace(npages=pages), *slots[at + 1 :])
            ops = tuple(_cleared(op, slot, pages) for op in program.ops)
            if taken := (yield with_config(program._replace(ops=ops), slots=shorter)):
                program = taken
                break


def slots_to_zero(program: Program) -> Proposals:
    """Let an initial slot begin at gfn and page 0, and where its first 2M page began, or its start.

    Pays where gfn and page have to be aligned alike, which one number at a time does not keep.
    Costs two proposals a slot.  Keeps distances inside the slot behind its new start.
    """
    for at in range(len(program.config.slots)):
        if at >= len(program.config.slots):  # normalising took one that clashed
            return
        for front in (-program.config.slots[at].gfn % _2M, 0):
            if at >= len(program.config.slots):
                return
            slot = program.config.slots[at]
            if front >= slot.npages:
                continue
            moved = _to_zero(program, GFN, slot.gfn, slot.npages, front)
            moved = _to_zero(moved, PAGE, slot.page, slot.npages, front)
            slots = moved.config.slots
            if at < len(slots):
                shorter = slots[at]._replace(npages=slot.npages - front)
                slots = (*slots[:at], shorter, *slots[at + 1 :])
            if taken := (yield with_config(moved, slots=slots)):
                program = taken
            if at >= len(program.config.slots):
                return


def _to_zero(program: Program, kind: FieldType, start: int, pages: int, front: int) -> Program:
    """With all numbers of that type inside the span moved so that start + front is 0."""
    span = range(start, start + pages)
    return with_values(
        program, kind, lambda value: max(0, value - start - front) if value in span else value
    )


def _cleared(op: Op, slot: SlotSpec, pages: int) -> Op:
    """The operation, if it clears the slot's log, moved to the end of a slot of so many pages."""
    if op.kind != Kind.DIRTY_CLEAR or op.args[:2] != (slot.slot, slot.as_id):
        return op
    first = max(0, op.args[2] - (slot.npages - pages))
    return op._replace(args=(*op.args[:2], first, max(1, min(op.args[3], pages - first))))


def _all_slots(program: Program) -> list[SlotSpec]:
    """Those that exist at the start, and those that are created."""
    created = (SlotSpec(*op.args) for op in program.ops if op.kind == Kind.MEMSLOT_CREATE)
    return [*program.config.slots, *created]


def _shift(program: Program, kind: FieldType, span: range, offset: int) -> Program:
    """The program with every number of that type within the span moved."""
    return with_values(program, kind, lambda value: value + offset * (value in span))
