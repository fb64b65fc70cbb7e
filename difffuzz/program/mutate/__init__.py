# SPDX-License-Identifier: GPL-2.0-only
"""Structure-aware mutation: changes that a program's author might make, one kind of change a file.

A mutator is a module with a `name` and `apply(program, rng, other) -> Program`.  It takes a
normalised program and returns a normalised one, possibly the same; `other` is a second program to
take material from, if there is one.  Everything is a function of its arguments and the state of
`rng`: the same seed gives the same program.
"""

from __future__ import annotations

from random import Random
from typing import Final, Protocol

from ..model import Program
from . import (
    change_field,
    change_kind,
    delete,
    duplicate,
    edit_config,
    edit_schedule,
    fresh,
    insert,
    move,
    retarget_gfn,
    splice,
)
from .crossover import crossover

__all__ = ["MUTATORS", "Mutator", "crossover", "mutate"]


class Mutator(Protocol):
    """What a mutator module offers."""

    @property
    def name(self) -> str:
        """What the mutator is called in statistics."""

    def apply(self, program: Program, rng: Random, other: Program | None = None) -> Program:
        """The changed program, normalised."""


_WEIGHTED: Final[tuple[tuple[Mutator, int], ...]] = (
    (insert, 24),
    (delete, 18),
    (duplicate, 8),
    (move, 12),
    (retarget_gfn, 14),
    (change_kind, 8),
    (change_field, 12),
    (splice, 8),
    (edit_config, 6),
)
MUTATORS: Final[tuple[Mutator, ...]] = (
    *(mutator for mutator, _ in _WEIGHTED),
    fresh,
    edit_schedule,
)
"""All there are; `mutate()` leaves it to its callers how many programs are new ones (fresh)."""
_TURNS: Final = tuple(mutator for mutator, weight in _WEIGHTED for _ in range(weight))
_STACK: Final = (1, 1, 1, 1, 1, 2, 2, 3, 4)
_SCHEDULE: Final = 0.3
_TRIES: Final = 4


def mutate(
    program: Program,
    rng: Random,
    other: Program | None = None,
    *,
    concurrent: bool | None = None,
    used: list[str] | None = None,
) -> Program:
    """The program after one or a few mutators, normalised, and nearly always different.

    `concurrent` says whether the schedule matters and is worth mutating; None: if there is one.
    The names of the mutators that made it are added to `used`.
    """
    if concurrent is None:
        concurrent = bool(program.schedule)
    result = program
    for _ in range(rng.choice(_STACK)):
        mutator, result = _once(result, rng, other, concurrent)
        if used is not None:
            used.append(mutator.name)
    if not concurrent and result.schedule != program.schedule:
        result = result._replace(schedule=program.schedule)
    return result


def _once(
    program: Program, rng: Random, other: Program | None, concurrent: bool
) -> tuple[Mutator, Program]:
    """One mutator that changed the program, if one of a few did, and what it made of it."""
    if concurrent and rng.random() < _SCHEDULE:
        return edit_schedule, edit_schedule.apply(program, rng, other)
    for _ in range(_TRIES):
        mutator = rng.choice(_TURNS)
        result = mutator.apply(program, rng, other)
        if result != program:
            return mutator, result
    return insert, insert.apply(program, rng, other)
