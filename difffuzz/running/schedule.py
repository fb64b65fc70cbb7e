# SPDX-License-Identifier: GPL-2.0-only
"""The schedule that a program runs under if it brings none: the program determines it."""

from __future__ import annotations

import random
import zlib

from ..program import Program
from ..sched.strategy import Pct, RandomWalk, ScheduleStrategy, Strategy
from .policy import POLICY, Policy


def way_of(program: Program, strategy: Strategy) -> str:
    """What the strategy is called in statistics."""
    if isinstance(strategy, RandomWalk):
        return "random walk"
    if isinstance(strategy, Pct):
        return "PCT"
    return "recorded" if program.schedule else "run to block"


def strategy_for(program: Program, policy: Policy = POLICY) -> Strategy:
    """The program's schedule; without one, the program determines: none, a random walk, or PCT."""
    rng = random.Random(zlib.crc32(repr(program.ops).encode()))
    way = rng.random()
    if program.schedule or way < policy.blocks:
        return ScheduleStrategy(program.schedule)
    if way < policy.blocks + policy.walks:
        return RandomWalk(rng, rng.choice(policy.walk_gaps))
    length = policy.pct_steps * len(program.ops)
    return Pct(rng, 2 + length // rng.choice(policy.pct_gaps), length)
