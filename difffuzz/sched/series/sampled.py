# SPDX-License-Identifier: GPL-2.0-only
"""Series of runs that are drawn independently: random walk, PCT, partial order sampling, SURW."""

from __future__ import annotations

from collections.abc import Hashable
from random import Random

from difffuzz.sched.choice import Strategy
from difffuzz.sched.strategy.pct import Pct
from difffuzz.sched.strategy.pos import Pos
from difffuzz.sched.strategy.random_walk import RandomWalk
from difffuzz.sched.strategy.reads_from import Pair
from difffuzz.sched.strategy.surw import Surw
from difffuzz.sched.strategy.trail import Noted, Trail

from .known import Known

PCT_DEPTH = 3
"""What published comparisons use."""
FIRST_LENGTH = 100
"""Steps of a program that was not run yet, about."""
ALL_AT_ONCE = 0.25
"""How often SURW takes all that is contended for interesting, and not one thing of it."""


class Sampled:
    """The strategies of a kind: subclasses make them."""

    def __init__(self, rng: Random, known: Known) -> None:
        self._rng = rng
        self._known = known

    def next(self) -> Noted:
        """Another one."""
        return Noted(self._make(), self._known.sites)

    def learn(self, run: Trail, fresh: list[Pair]) -> None:
        """What `known` has is enough."""

    def _make(self) -> Strategy:
        raise NotImplementedError


class Walks(Sampled):
    """Naive random walks: any task at each step."""

    def _make(self) -> Strategy:
        return RandomWalk(self._rng, 0.0)


class Pcts(Sampled):
    """PCT, in runs as long as the longest so far."""

    def _make(self) -> Strategy:
        return Pct(self._rng, PCT_DEPTH, self._known.length or FIRST_LENGTH)


class PartialOrders(Sampled):
    """Partial order sampling."""

    def _make(self) -> Strategy:
        return Pos(self._rng)


class Selective(Sampled):
    """SURW: mostly one contended thing is interesting, another one each time."""

    def _make(self) -> Strategy:
        rng, known = self._rng, self._known
        things: dict[Hashable, None] = known.contended
        if things and rng.random() >= ALL_AT_ONCE:
            things = {rng.choice(list(things)): None}
        return Surw(rng, things, known.expected(things))
