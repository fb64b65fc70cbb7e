# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: let operations be about another place, so that they meet others or stop meeting them."""

from __future__ import annotations

from random import Random
from typing import Final

from .. import addresses
from ..addresses import Place
from ..fields import AREA, GFN
from ..model import Op, Program
from ..normalise import normalise
from ..op_maker import place_of
from ..ops import OPS, Kind

name: Final = "retarget_gfn"
_PLACED: Final = frozenset(
    kind for kind, spec in OPS.items() if any(f.type in (GFN, AREA) for f in spec.fields)
)
_TRIES: Final = 4


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """The program with one operation, or all about the same place, at another place.

    The new place is that of another operation, a neighbour of the old one, or any hot one.
    """
    ops = program.ops
    at = _placed(ops, rng)
    if at is None:
        return program
    config = program.config
    old = place_of(ops[at], config)
    way = rng.random()
    new = None
    if way < 0.5:
        source = _placed(ops, rng)
        new = place_of(ops[source], config) if source is not None else None
    elif way < 0.75 and old is not None:
        new = addresses.near(rng, old)
    if new is None:
        new = addresses.pick(rng, config)
    everywhere = old is not None and rng.random() < 0.2
    changed = tuple(
        _at(op, new) if n == at or (everywhere and place_of(op, config) == old) else op
        for n, op in enumerate(ops)
    )
    return normalise(Program(config, changed, program.schedule))


def _placed(ops: tuple[Op, ...], rng: Random) -> int | None:
    """The position of an operation that names a place; None if none was met in a few tries."""
    for _ in range(_TRIES if ops else 0):
        at = int(rng.random() * len(ops))
        if ops[at].kind in _PLACED:
            return at
    return None


def _at(op: Op, place: Place) -> Op:
    """The operation at the place; what it says besides (count, access, id) stays.

    For a slot that is created the guest's or the host's end moves, not both at once: that keeps
    the slot from being an exact copy of another.
    """
    fields = OPS[op.kind].fields
    args = list(op.args)
    for n, field in enumerate(fields):
        if field.type is GFN:
            args[n] = place.gfn
        elif op.kind is Kind.MEMSLOT_CREATE:
            continue
        elif field.type is AREA:
            args[n] = place.area
        elif field.name == "page":
            args[n] = place.page
    return op._replace(args=tuple(args))
