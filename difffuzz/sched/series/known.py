# SPDX-License-Identifier: GPL-2.0-only
"""What the runs of a program taught: which accesses came after which changes, what is contended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

from difffuzz.sched.sites import Sites
from difffuzz.sched.strategy.contention import Use, contend
from difffuzz.sched.strategy.reads_from import Pair
from difffuzz.sched.strategy.trail import Trail


class Known:
    """Of all runs so far."""

    __slots__ = (
        "_accesses",
        "_changes",
        "_made",
        "_uses",
        "contended",
        "length",
        "order",
        "pairs",
        "runs",
        "sites",
        "together",
        "unseen",
    )

    def __init__(self) -> None:
        self.sites = Sites()
        self.runs = 0
        self.length = 0
        """Steps of the longest run."""
        self.pairs: dict[Pair, int] = {}
        """Every pair that was seen, but for those of one task, with its number."""
        self.order: list[Pair] = []
        """The same, by number."""
        self.together: list[int] = []
        """For each pair, by number, those that were seen in a run with it, a bit each."""
        self.unseen: list[Pair] = []
        """Pairs that may be possible: of an access and a change of the same thing, each of which
        was seen in a pair.  Those that were seen since are among them."""
        self.contended: dict[Hashable, None] = {}
        """What several tasks touch, one of them changing it, without a lock between them."""
        self._uses: dict[Hashable, dict[Use, None]] = {}
        self._accesses: dict[Hashable, list[int]] = {}
        self._changes: dict[Hashable, list[int]] = {}
        self._made: dict[Hashable, dict[int, int]] = {}

    def learn(self, trail: Trail) -> list[Pair]:
        """Adds a run; returns the pairs that none before showed."""
        self.runs += 1
        self.length = max(self.length, trail.length)
        seen = self._pairs_of(trail)
        fresh = [pair for pair in seen if pair not in self.pairs]
        whats = self.sites.whats
        for pair in fresh:
            self.pairs[pair] = len(self.order)
            self.order.append(pair)
            self.together.append(0)
            what = whats[pair.access]
            self._add(what, pair.access, self._accesses, self._changes, turned=False)
            self._add(what, pair.change, self._changes, self._accesses, turned=True)
        for what, site in trail.last_changes().items():
            self._add(what, site, self._changes, self._accesses, turned=True)
        mask = 0
        numbers = [self.pairs[pair] for pair in seen]
        for number in numbers:
            mask |= 1 << number
        for number in numbers:
            self.together[number] |= mask
        self._learn_uses(trail)
        return fresh

    def expected(self, things: dict[Hashable, None]) -> dict[int, float]:
        """How many accesses to these things a task makes in a run, on the average."""
        found: defaultdict[int, float] = defaultdict(float)
        for what in things:
            for number, made in self._made[what].items():
                found[number] += made / self.runs
        return found

    def _pairs_of(self, trail: Trail) -> list[Pair]:
        """Of different tasks, or with a change of nobody's."""
        found = {
            Pair(site, change): None
            for number, site, change, changed_by in trail.steps
            if changed_by != number
        }
        return list(found)

    def _add(
        self,
        what: Hashable,
        site: int,
        to: dict[Hashable, list[int]],
        others: dict[Hashable, list[int]],
        turned: bool,
    ) -> None:
        """Another access to the thing, or (`turned`) another change of it."""
        known = to.setdefault(what, [])
        if site in known:
            return
        known.append(site)
        for other in others.get(what, ()):
            pair = Pair(other, site) if turned else Pair(site, other)
            if other != site and pair not in self.pairs:
                self.unseen.append(pair)

    def _learn_uses(self, trail: Trail) -> None:
        for what, uses in trail.uses.items():
            known = self._uses.setdefault(what, {})
            for use in uses:
                if use in known:
                    continue
                known[use] = None
                if what not in self.contended and any(contend(use, one) for one in known):
                    self.contended[what] = None
        whats = self.sites.whats
        for number, site, _, _ in trail.steps:
            made = self._made.setdefault(whats[site], {})
            made[number] = made.get(number, 0) + 1
