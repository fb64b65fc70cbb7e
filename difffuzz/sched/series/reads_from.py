# SPDX-License-Identifier: GPL-2.0-only
"""Runs under reads-from constraints that are chosen by what earlier runs showed.

A pair is an access and the change that it came after.  First come pairs that may be possible and
were never seen, then two pairs that were never seen in the same run; each try without success makes
a choice less likely.  The others are mutants of those constraints whose runs showed a new pair.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random

from difffuzz.sched.strategy.reads_from import Constraint, Pair, ReadsFrom
from difffuzz.sched.strategy.trail import Trail

from .known import Known

NEW_PAIR = 0.5
"""How often a pair is wanted that was never seen, if there is one left that may be possible."""
NEW_COUPLE = 0.3
"""How often two pairs are wanted that were never seen together."""
FREE = 0.1
"""How often nothing is wanted."""
GIVE_UP = 4
"""Tries after which a pair is taken for impossible."""
FORBIDDEN = 0.2
"""How often a mutant gets a pair that is not to be seen."""
TRIES = 20
"""Draws of a choice before another way is taken."""
MOST = 4
"""Constraints of a run."""

Constraints = tuple[Constraint, ...]


class ReadsFroms:
    """`rng` decides what is wanted next."""

    def __init__(self, rng: Random, known: Known) -> None:
        self._rng = rng
        self._known = known
        self._kept: list[Constraints] = []
        self._last: Constraints = ()
        self._tried: defaultdict[Constraints, int] = defaultdict(int)

    def next(self) -> ReadsFrom:
        """A run under other constraints."""
        self._last = self._wanted()
        self._tried[self._last] += 1
        return ReadsFrom(self._rng, self._known.sites, self._last)

    def learn(self, run: Trail, fresh: list[Pair]) -> None:
        """Constraints whose run showed a new pair are worth another one like it."""
        if fresh and self._last:
            self._kept.append(self._last)

    def _wanted(self) -> Constraints:
        rng = self._rng
        if not self._known.runs:
            return ()
        way = rng.random()
        if way < FREE:
            return ()
        if way < FREE + NEW_PAIR:
            found = self._new_pair()
            if found:
                return found
        if way < FREE + NEW_PAIR + NEW_COUPLE or not self._kept:
            found = self._new_couple()
            if found:
                return found
        return self._mutant()

    def _new_pair(self) -> Constraints:
        """A pair that was never seen."""
        known, rng, unseen = self._known, self._rng, self._known.unseen
        for _ in range(TRIES):
            if not unseen:
                break
            at = rng.randrange(len(unseen))
            pair = unseen[at]
            found = (Constraint(pair),)
            if pair in known.pairs or self._tried[found] >= GIVE_UP:
                unseen[at] = unseen[-1]
                unseen.pop()
            elif rng.random() < 0.25 ** self._tried[found]:
                return found
        return ()

    def _new_couple(self) -> Constraints:
        """Two pairs that were seen, but in different runs."""
        known, rng = self._known, self._rng
        pairs = known.order
        if len(pairs) < 2:
            return ()
        for _ in range(TRIES):
            one, other = rng.choice(pairs), rng.choice(pairs)
            if one.access == other.access:
                continue
            if known.together[known.pairs[one]] >> known.pairs[other] & 1:
                continue
            couple = Constraint(one), Constraint(other)
            if rng.random() < 0.5 ** (self._tried.get(couple, 0)):
                return couple
        return ()

    def _mutant(self) -> Constraints:
        """Constraints that were worth it, with one more, one less, or one turned round."""
        known, rng = self._known, self._rng
        found = list(rng.choice(self._kept)) if self._kept else []
        pairs = known.order
        way = rng.random()
        if found and way < 0.2:
            found.pop(rng.randrange(len(found)))
        elif found and way < 0.4:
            at = rng.randrange(len(found))
            found[at] = found[at]._replace(wanted=not found[at].wanted)
        elif pairs:
            found.append(Constraint(rng.choice(pairs), rng.random() >= FORBIDDEN))
        return tuple(found[-MOST:])
