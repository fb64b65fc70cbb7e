# SPDX-License-Identifier: GPL-2.0-only
"""Crossover: a program out of two, the beginning of one and the end of the other."""

from __future__ import annotations

from random import Random

from ..model import Op, Program
from ..normalise import normalise


def crossover(first: Program, second: Program, rng: Random) -> Program:
    """A normalised child: the configuration of `first`, operations and schedule of both."""
    config = first.config
    if rng.random() < 0.3:
        config = config._replace(slots=(*config.slots, *second.config.slots))
    if rng.random() < 0.3:
        ops = _interleave(first.ops, second.ops, rng)
    else:
        cut = int(rng.random() * (len(first.ops) + 1))
        resume = int(rng.random() * (len(second.ops) + 1))
        ops = (*first.ops[:cut], *second.ops[resume:])
    schedule = rng.choice((first, second)).schedule
    return normalise(Program(config, ops, schedule))


def _interleave(first: tuple[Op, ...], second: tuple[Op, ...], rng: Random) -> tuple[Op, ...]:
    """All operations of both in runs of a few, each program's in its own order."""
    left, right = (first, second) if rng.random() < 0.5 else (second, first)
    mixed: list[Op] = []
    while left and right:
        count = 1 + int(rng.random() * 6)
        mixed += left[:count]
        left, right = right, left[count:]
    return (*mixed, *left, *right)
