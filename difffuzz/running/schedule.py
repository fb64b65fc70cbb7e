# SPDX-License-Identifier: GPL-2.0-only
"""The schedule that a program runs under if it brings none: the program determines it."""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping

from ..program import Program
from ..program.limits import MAX_SCHEDULE
from ..sched.strategy import Delays, Pct, Pos, RandomWalk, ScheduleStrategy, Strategy
from .policy import POLICY, Policy


def way_of(program: Program, strategy: Strategy) -> str:
    """What the strategy is called in statistics."""
    if isinstance(strategy, RandomWalk):
        return "random walk"
    if isinstance(strategy, Pct):
        return "PCT"
    if isinstance(strategy, Pos):
        return "POS"
    return "recorded" if program.schedule else "run to block"


def strategy_for(
    program: Program, policy: Policy = POLICY, shares: Mapping[str, float] | None = None
) -> Strategy:
    """The program's schedule; without one, the program determines a way, by the policy or by
    shares that were learned.

    A way that switches as often as POS is for programs only whose schedule can be told.
    """
    rng = random.Random(zlib.crc32(repr(program.ops).encode()))
    at = rng.random()
    if program.schedule:
        return ScheduleStrategy(program.schedule)
    length = policy.pct_steps * len(program.ops)
    if shares is None:
        shares = {"run to block": policy.blocks, "random walk": policy.walks}
    way = _way(at, shares)
    if way == "run to block":
        return ScheduleStrategy(())
    if way == "random walk":
        return RandomWalk(rng, rng.choice(policy.walk_gaps))
    if way == "POS" and length <= MAX_SCHEDULE:
        return Pos(rng)
    return Pct(rng, 2 + length // rng.choice(policy.pct_gaps), length)


def is_judged(program: Program, policy: Policy) -> bool:
    """Does the engine run it whatever its walks show?  The program determines it."""
    return zlib.crc32(repr(program).encode()) % policy.judged_of == 0


def delaying(program: Program, strategy: Strategy, policy: Policy = POLICY) -> Strategy:
    """The same with drawn delays of stores, for a share of the programs that bring no schedule."""
    rng = random.Random(1 + zlib.crc32(repr(program.ops).encode()))
    if program.schedule or rng.random() >= policy.delayed:
        return strategy
    return Delays(strategy, rng)


def _way(at: float, shares: Mapping[str, float]) -> str:
    """The way that has this place between 0 and 1; PCT has what is left."""
    for way, share in shares.items():
        at -= share
        if at < 0:
            return way
    return "PCT"
