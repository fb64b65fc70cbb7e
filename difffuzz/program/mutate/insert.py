# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: insert new operations, single ones or a phrase, mostly about places already in use."""

from __future__ import annotations

from random import Random
from typing import Final

from ..generate_guest import guest_ops
from ..model import Op, Program
from ..normalise import normalise
from ..op_maker import scene_of
from ..ops import OPS, Kind
from ..phrases import PHRASES

name: Final = "insert"
_KINDS: Final = tuple(kind for kind, spec in OPS.items() for _ in range(spec.weight))
_PHRASES: Final = tuple(phrase for phrase in PHRASES for _ in range(phrase.weight))
_REUSE: Final = 0.5
"""How often a kind is chosen among those the program has already: swarms stay swarms."""


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """The program with one to three operations, or one phrase, inserted at one position."""
    if program.config.guest != "none":
        fresh: list[Op] = guest_ops(rng, program.config)
        at = int(rng.random() * (len(program.ops) + 1))
        ops = (*program.ops[:at], *fresh, *program.ops[at:])
        return normalise(Program(program.config, ops, program.schedule))
    maker = scene_of(program, rng)
    kinds: tuple[Kind, ...] = _KINDS
    if program.ops and rng.random() < _REUSE:
        kinds = tuple(op.kind for op in program.ops)
    if rng.random() < 0.3:
        fresh = rng.choice(_PHRASES).make(maker, kinds)
    else:
        fresh = [maker.op(rng.choice(kinds)) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    at = int(rng.random() * (len(program.ops) + 1))
    ops = (*program.ops[:at], *fresh, *program.ops[at:])
    return normalise(Program(program.config, ops, program.schedule))
