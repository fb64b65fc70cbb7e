# SPDX-License-Identifier: GPL-2.0-only
"""The portfolio: of all series, those run most that showed the most that is new.

A run is worth something if it is the first to show a pair of an access and the change it came
after.  What a kind of run was worth fades, and each keeps a share, for the best one changes as a
program becomes known.
"""

from __future__ import annotations

from random import Random

from difffuzz.sched.shares import Shares
from difffuzz.sched.strategy.reads_from import Pair
from difffuzz.sched.strategy.trail import Trail

from .base import Followed, Series
from .known import Known
from .reads_from import ReadsFroms
from .sampled import PartialOrders, Pcts, Selective, Walks

PRIOR = {"reads-from": 8.0, "surw": 2.0, "pos": 0.5, "pct": 0.25, "random": 0.25}
"""What each kind is believed to be worth before anything is known of the program."""


class Portfolio:
    """All series; `shares` has how often each is drawn."""

    def __init__(self, rng: Random, known: Known) -> None:
        self._rng = rng
        self._series: dict[str, Series] = {
            "reads-from": ReadsFroms(rng, known),
            "pos": PartialOrders(rng, known),
            "surw": Selective(rng, known),
            "pct": Pcts(rng, known),
            "random": Walks(rng, known),
        }
        self.shares = Shares(PRIOR)
        self._name = ""

    def next(self) -> Followed:
        """Of a series that is drawn."""
        self._name = self.shares.draw(self._rng)
        return self._series[self._name].next()

    def learn(self, run: Trail, fresh: list[Pair]) -> None:
        """What was drawn last is worth more, or less."""
        self._series[self._name].learn(run, fresh)
        self.shares.earned(self._name, 1.0 if fresh else 0.0)
