# SPDX-License-Identifier: GPL-2.0-only
"""Passes: smaller numbers in operations."""

from __future__ import annotations

from ...program import OPS, Program, SlotSpec
from ..proposals import Proposals, plainer_numbers, swap, with_config, with_op, with_ops


def same_smaller_argument(program: Program) -> Proposals:
    """Make a number smaller in every operation and slot that has it, so that they still meet.

    Pays before single numbers: operations on one page stay on one page.  Costs up to twenty
    proposals a value.  Keeps which numbers are equal.
    """
    values = {value for op in program.ops for value in op.args}
    for value in sorted(values, reverse=True):
        for plain in plainer_numbers(value):
            ops = tuple(op._replace(args=swap(op.args, value, plain)) for op in program.ops)
            slots = tuple(_swap_in_slot(slot, value, plain) for slot in program.config.slots)
            for candidate in (
                with_ops(program, ops),
                with_config(program._replace(ops=ops), slots=slots),
            ):
                if taken := (yield candidate):
                    program = taken
                    break


def shorter_ranges(program: Program) -> Proposals:
    """Cut an operation's range of pages: its last page, its halves, its first.

    Pays before single numbers: the page that matters may be anywhere in it.  Costs three proposals
    a range of more than one page.  Keeps what is outside of the range as it is.
    """
    for at in range(len(program.ops)):
        for base, count, _ in OPS[program.ops[at].kind].spans:
            op = program.ops[at]
            start, pages = op.args[base], op.args[count]
            half = pages // 2
            cuts = ((0, 1), (pages - 1, 1), (0, half), (half, pages - half))
            for skipped, left in cuts:
                if 0 < left < pages:
                    args = list(op.args)
                    args[base], args[count] = start + skipped, left
                    shorter = with_op(program, at, op._replace(args=tuple(args)))
                    if taken := (yield shorter):
                        program = taken
                        break


def smaller_arguments(program: Program) -> Proposals:
    """Make one number of one operation smaller.

    Pays last.  Costs up to ten proposals a number.  Keeps everything but the one number.
    """
    for at in range(len(program.ops)):
        for position in range(len(program.ops[at].args)):
            for plain in plainer_numbers(program.ops[at].args[position]):
                op = program.ops[at]
                args = (*op.args[:position], plain, *op.args[position + 1 :])
                plainer = with_op(program, at, op._replace(args=args))
                if taken := (yield plainer):
                    program = taken
                    break


def _swap_in_slot(slot: SlotSpec, old: int, new: int) -> SlotSpec:
    gfn, npages, page = swap((slot.gfn, slot.npages, slot.page), old, new)
    return slot._replace(gfn=gfn, npages=npages, page=page)
