# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: insert a run of another program's operations."""

from __future__ import annotations

from random import Random
from typing import Final

from ..model import Program
from ..normalise import normalise

name: Final = "splice"


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """The program with some operations of `other` in it; itself again if there is no other.

    Now and then the initial slots those operations were written for come along.
    """
    if other is None or not other.ops:
        return program
    first = int(rng.random() * len(other.ops))
    run = other.ops[first : first + 1 + int(rng.random() * 12)]
    at = int(rng.random() * (len(program.ops) + 1))
    config = program.config
    if rng.random() < 0.2:
        config = config._replace(slots=(*config.slots, *other.config.slots))
    ops = (*program.ops[:at], *run, *program.ops[at:])
    return normalise(Program(config, ops, program.schedule))
