# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: a program from nothing, or the same operations in another machine.

Mutants resemble their parents: a bug that takes a rare configuration and operations that no parent
has is nearer to a new program.
"""

from __future__ import annotations

from random import Random
from typing import Final

from ..generate import generate, generate_config, is_concurrent
from ..generate_guest import generate_guest
from ..model import Program
from ..normalise import normalise

name: Final = "fresh"
_ANOTHER_MACHINE: Final = 0.8
"""Share of new programs of guests with a configuration of their own."""


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """A new program, concurrent if the old one is."""
    return anew(program, rng, is_concurrent(program))


def anew(program: Program, rng: Random, concurrent: bool, used: list[str] | None = None) -> Program:
    """A new program of the same paging mode, with its configuration or the old one's operations.

    The names of the phrases that it is made of are added to `used`.
    """
    config = program.config
    way = rng.random()
    if config.guest != "none":
        same = config if way > _ANOTHER_MACHINE else None
        return generate_guest(rng, config.guest, config=same, used=used)
    if way < 0.7:
        return generate(rng, paging=config.paging, concurrent=concurrent, used=used)
    if way < 0.85:
        return generate(rng, config=config, concurrent=concurrent, used=used)
    slots = config.slots
    config = generate_config(rng, paging=config.paging)._replace(slots=slots)
    return normalise(Program(config, program.ops, program.schedule))
