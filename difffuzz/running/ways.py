# SPDX-License-Identifier: GPL-2.0-only
"""Learns which ways to schedule programs show what is new: shares of single runs, and of searches.

What a way shows is new if no run of this Runner reached that state before.  It is weighed by what
it cost, in steps, so that a search has to show more than the runs that it takes the place of.
"""

from __future__ import annotations

from difffuzz.oracle.verdict import Verdict
from difffuzz.sched.shares import Shares

RUNS = {"run to block": 0.4, "random walk": 0.2, "PCT": 0.25, "POS": 0.15}
"""How programs run that bring no schedule, before anything is known."""
SEARCHES = {"exhaustive": 1.0, "pos": 1.0, "reads-from": 0.6, "surw": 0.4}
"""How schedules of small programs are searched: `exhaustive`, or the name of a series."""
DIVERGENCE = 20.0
"""What a divergence is worth, in new states; more of these than that count as many."""
RUN_STEPS = 600
"""Of a usual program: the cost of 1."""


class Ways:
    """`runs` and `searches` have the shares."""

    __slots__ = ("_seen", "runs", "searches")

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self.runs = Shares(RUNS)
        self.searches = Shares(SEARCHES)

    def ran(self, way: str, verdict: Verdict) -> None:
        """A program ran once."""
        self._weigh(self.runs, way, verdict, verdict.steps)

    def searched(self, way: str, verdict: Verdict, steps: int) -> None:
        """A program was searched after that, in so many steps."""
        self._weigh(self.searches, way, verdict, steps)

    def _weigh(self, shares: Shares, way: str, verdict: Verdict, steps: int) -> None:
        fresh = len(verdict.features - self._seen)
        self._seen |= verdict.features
        if way in shares.taken:
            worth = DIVERGENCE if verdict.divergences else min(fresh, DIVERGENCE)
            shares.earned(way, worth, max(steps, 1) / RUN_STEPS)
