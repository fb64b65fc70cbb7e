# SPDX-License-Identifier: GPL-2.0-only
"""The minimiser's passes: each proposes simpler programs of one kind.

A pass is a generator. It yields normalised programs, is told whether each one was taken, and goes
on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from ..program import OPS, Config, Kind, Op, Program, SlotSpec, normalise
from ..program.fields import GFN, PAGE, Field, FieldType
from ..program.ops import SLOT_FIELDS

Proposals = Generator[Program, bool, None]
Pass = Callable[[Program], Proposals]

MAX_PAIR_OPS = 24


def drop_operations(program: Program) -> Proposals:
    """Leave out runs of operations: all, halves, quarters, ... single ones; from the end."""
    width = len(program.ops)
    while width:
        end = len(program.ops)
        while end > 0:
            start = max(0, end - width)
            shorter = _with_ops(program, program.ops[:start] + program.ops[end:])
            if (yield shorter):
                program = shorter
            end = start
        width //= 2


def drop_switches(program: Program) -> Proposals:
    """Leave out runs of the schedule's switches."""
    width = len(program.schedule)
    while width:
        end = len(program.schedule)
        while end > 0:
            start = max(0, end - width)
            schedule = program.schedule[:start] + program.schedule[end:]
            shorter = normalise(program._replace(schedule=schedule))
            if (yield shorter):
                program = shorter
            end = start
        width //= 2


def drop_slots(program: Program) -> Proposals:
    """Leave out a slot that exists at the start."""
    for at in reversed(range(len(program.config.slots))):
        slots = program.config.slots
        fewer = _with_config(program, slots=slots[:at] + slots[at + 1 :])
        if (yield fewer):
            program = fewer


def drop_pairs(program: Program) -> Proposals:
    """Leave out two operations that only make sense together, such as a begin and its end."""
    ops = program.ops
    if len(ops) > MAX_PAIR_OPS:
        return
    for second in reversed(range(len(ops))):
        for first in reversed(range(second)):
            kept = ops[:first] + ops[first + 1 : second] + ops[second + 1 :]
            if (yield _with_ops(program, kept)):
                return


def default_config(program: Program) -> Proposals:
    """Put a field of the configuration, or an area, at its default."""
    default = Config()
    for name in Config._fields:
        if name != "slots":
            plainer = _with_config(program, **{name: getattr(default, name)})
            if (yield plainer):
                program = plainer
    for at, usual in enumerate(default.areas):
        areas = program.config.areas
        plainer = _with_config(program, areas=(*areas[:at], usual, *areas[at + 1 :]))
        if (yield plainer):
            program = plainer


def fewer_threads(program: Program) -> Proposals:
    """Move operations to the first thread that may run them: a whole thread's, then single ones."""
    for thread in sorted({op.thread for op in program.ops}, reverse=True):
        moved = tuple(_at_home(op) if op.thread == thread else op for op in program.ops)
        plainer = _with_ops(program, moved)
        if (yield plainer):
            program = plainer
    for at in range(len(program.ops)):
        plainer = _with_op(program, at, _at_home(program.ops[at]))
        if (yield plainer):
            program = plainer


def move_slots(program: Program) -> Proposals:
    """Move a slot to smaller gfns, or pages of its area, together with everything inside it."""
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


def same_smaller_argument(program: Program) -> Proposals:
    """Make a number smaller in every operation and slot that has it, so that they still meet."""
    values = {value for op in program.ops for value in op.args}
    for value in sorted(values, reverse=True):
        for plain in plainer_numbers(value):
            ops = tuple(op._replace(args=_swap(op.args, value, plain)) for op in program.ops)
            slots = tuple(_swap_in_slot(slot, value, plain) for slot in program.config.slots)
            for candidate in (
                _with_ops(program, ops),
                _with_config(program._replace(ops=ops), slots=slots),
            ):
                if (yield candidate):
                    program = candidate
                    break


def smaller_arguments(program: Program) -> Proposals:
    """Make one number of one operation smaller."""
    for at in range(len(program.ops)):
        for position in range(len(program.ops[at].args)):
            for plain in plainer_numbers(program.ops[at].args[position]):
                op = program.ops[at]
                args = (*op.args[:position], plain, *op.args[position + 1 :])
                plainer = _with_op(program, at, op._replace(args=args))
                if (yield plainer):
                    program = plainer
                    break


def smaller_slots(program: Program) -> Proposals:
    """Make one number of one initial slot smaller."""
    for at in range(len(program.config.slots)):
        for field in SLOT_FIELDS:
            if at >= len(program.config.slots):  # normalising took one that clashed
                return
            for plain in plainer_numbers(getattr(program.config.slots[at], field.name)):
                slots = program.config.slots
                slot = slots[at]._replace(**{field.name: plain})
                plainer = _with_config(program, slots=(*slots[:at], slot, *slots[at + 1 :]))
                if (yield plainer):
                    program = plainer
                    break


def earlier_switches(program: Program) -> Proposals:
    """Make one step of the schedule earlier."""
    for at in range(len(program.schedule)):
        if at >= len(program.schedule):  # two switches met in one step
            return
        for plain in plainer_numbers(program.schedule[at][0]):
            schedule = program.schedule
            changed = (*schedule[:at], (plain, schedule[at][1]), *schedule[at + 1 :])
            plainer = normalise(program._replace(schedule=changed))
            if (yield plainer):
                program = plainer
                break


PASSES: tuple[Pass, ...] = (
    drop_operations,
    drop_switches,
    drop_slots,
    drop_pairs,
    move_slots,
    default_config,
    fewer_threads,
    same_smaller_argument,
    smaller_arguments,
    smaller_slots,
    earlier_switches,
)


def plainer_numbers(value: int) -> list[int]:
    """Smaller values worth trying for a count of pages, a gfn, a flag or a step; plainest first."""
    tries = {0, 1, 2, 8, 0x200, value & ~0x3FFFF, value & ~0x1FF, value & 0x1FF, value >> 1}
    tries.add(value & value - 1)  # without its lowest bit
    return sorted(plain for plain in tries if 0 <= plain < value)


def _with_ops(program: Program, ops: tuple[Op, ...]) -> Program:
    return normalise(program._replace(ops=ops))


def _with_op(program: Program, at: int, op: Op) -> Program:
    return _with_ops(program, (*program.ops[:at], op, *program.ops[at + 1 :]))


def _with_config(program: Program, **changes: object) -> Program:
    return normalise(program._replace(config=program.config._replace(**changes)))  # type: ignore[arg-type]


def _at_home(op: Op) -> Op:
    return op._replace(thread=OPS[op.kind].threads[0])


def _swap(values: tuple[int, ...], old: int, new: int) -> tuple[int, ...]:
    return tuple(new if value == old else value for value in values)


def _swap_in_slot(slot: SlotSpec, old: int, new: int) -> SlotSpec:
    gfn, npages, page = _swap((slot.gfn, slot.npages, slot.page), old, new)
    return slot._replace(gfn=gfn, npages=npages, page=page)


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
    return _with_config(program._replace(ops=ops), slots=slots)
