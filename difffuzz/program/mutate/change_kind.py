# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: turn an operation into another kind of the same threads, at the same place."""

from __future__ import annotations

from random import Random
from typing import Final

from ..fields import FieldType
from ..model import Op, Program
from ..normalise import normalise
from ..op_maker import OpMaker, place_of
from ..ops import GUEST_KINDS, OPS, Kind

name: Final = "change_kind"
_SIBLINGS: Final = {
    kind: tuple(
        other
        for other, candidate in OPS.items()
        if candidate.threads == spec.threads and other != kind
        for _ in range(candidate.weight)
    )
    for kind, spec in OPS.items()
}

_OF_GUESTS: Final = {
    kind: tuple(other for other in GUEST_KINDS if other != kind)
    for kind in GUEST_KINDS
    if kind is not Kind.DMA
}
"""Of guests with page tables: what their programs are about."""


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """The program with one operation of another kind; arguments of the same type are kept."""
    ops = program.ops
    if not ops:
        return program
    at = int(rng.random() * len(ops))
    op = ops[at]
    siblings = _SIBLINGS[op.kind]
    if program.config.guest != "none" and op.kind in _OF_GUESTS:
        siblings = _OF_GUESTS[op.kind]
    if not siblings:
        return program
    changed = _as_kind(op, rng.choice(siblings), OpMaker(rng, program.config))
    return normalise(
        Program(program.config, (*ops[:at], changed, *ops[at + 1 :]), program.schedule)
    )


def _as_kind(op: Op, kind: Kind, maker: OpMaker) -> Op:
    """The operation as another kind: fresh arguments at its place, then what can be kept."""
    fresh = maker.op(kind, place_of(op, maker.config), op.thread)
    old: dict[FieldType, int] = {
        field.type: value for field, value in zip(OPS[op.kind].fields, op.args, strict=True)
    }
    args = tuple(
        old.get(field.type, value)
        for field, value in zip(OPS[kind].fields, fresh.args, strict=True)
    )
    return fresh._replace(args=args)
