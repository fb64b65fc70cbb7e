# SPDX-License-Identifier: GPL-2.0-only
"""How often each of several ways is taken, by what it was worth lately: a bandit.

Each way keeps a least share, so that it is noticed when it becomes worth more; what was earned long
ago counts less and less, for what is new for the first time is worth nothing the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

LEAST = 0.04
"""The share that a way keeps."""
FADES = 0.98
"""What is left of what a way earned and cost, each time it is taken."""
TRUST = 10.0
"""So many times taken is the prior worth."""


class Shares:
    """`prior`: what each way is believed to earn, in proportion."""

    __slots__ = ("_cost", "_earned", "_prior", "taken")

    def __init__(self, prior: Mapping[str, float]) -> None:
        most = max(prior.values())
        self._prior = {name: worth / most for name, worth in prior.items()}
        self._earned = {name: TRUST * worth for name, worth in self._prior.items()}
        self._cost = dict.fromkeys(prior, TRUST)
        self.taken = dict.fromkeys(prior, 0)

    def of(self) -> dict[str, float]:
        """The share of each way; together 1."""
        worth = {name: self._earned[name] / self._cost[name] for name in self._prior}
        total = sum(worth.values())
        rest = 1.0 - LEAST * len(worth)
        if total <= 0.0:
            return {name: 1.0 / len(worth) for name in worth}
        return {name: LEAST + rest * one / total for name, one in worth.items()}

    def draw(self, rng: Random) -> str:
        """A way."""
        shares = self.of()
        (name,) = rng.choices(list(shares), list(shares.values()))
        self.taken[name] += 1
        return name

    def earned(self, name: str, worth: float, cost: float = 1.0) -> None:
        """A way was taken at this cost, and was worth so much."""
        self._earned[name] = self._earned[name] * FADES + worth
        self._cost[name] = self._cost[name] * FADES + cost
