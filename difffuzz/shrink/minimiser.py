# SPDX-License-Identifier: GPL-2.0-only
"""Shrink a program while what it shows stays the same.

Passes (passes/) propose programs; a proposal is taken if it is smaller by `size` and the
test still holds. Every step makes the program smaller, so this ends; a budget of time and tries
ends it sooner, with the best program so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..program import Program, normalise
from .passes import DEEP, PASSES
from .proposals import Pass
from .size import size

Test = Callable[[Program], bool]

Refit = Callable[[Program, Program], Program | None]
"""Of the smallest program so far, and a proposal that fails the test: the same proposal under
another schedule that passes it, if one is found."""

Stop = Callable[[Program], bool]
"""Is asked before each try, with the smallest program so far; True ends it there."""

MAX_TRIES = 20_000
"""Programs that are run, at most."""


class Minimiser:
    """Shrinks one program under a budget of seconds and tries.

    `refits`, the cheapest first: all passes use the first one, the DEEP ones use all once nothing
    else makes the program smaller.  `complete`: nothing that the passes propose makes it smaller;
    else `reason` says what ended it.
    """

    def __init__(
        self,
        test: Test,
        seconds: float,
        tries: int = MAX_TRIES,
        stop: Stop = lambda program: False,
        refits: Sequence[Refit] = (),
    ) -> None:
        self.complete = False
        self.reason = ""
        self.tries = 0
        """Programs that were tried."""
        self._test = test
        self._refits = refits
        self._stop = stop
        self._deadline = time.monotonic() + seconds
        self._most = tries
        self._refused: set[Program] = set()

    def shrink(self, program: Program) -> Program:
        """The smallest program found; the program itself if its test does not hold."""
        best = normalise(program)
        if not self._test(best):
            self.reason = "it does not show it"
            return program
        while not self._spent(best):
            smaller = self._round(best, PASSES, self._refits[:1])
            if smaller == best:
                smaller = self._deeper(best)
            if smaller == best and not self.reason:
                self.complete = True
                return best
            best = smaller
        return best

    def _deeper(self, best: Program) -> Program:
        """What schedules of their own make of it and of what DEEP passes propose."""
        for refit in self._refits[1:]:
            refitted = refit(best, best)
            if refitted is not None and size(refitted) < size(best):
                best = refitted
        if len(self._refits) > 1:
            self._refused.clear()
            best = self._round(best, DEEP, self._refits)
            self._refused.clear()
        return best

    def _round(self, best: Program, passes: Sequence[Pass], refits: Sequence[Refit]) -> Program:
        for simplify in passes:
            best = self._once(best, simplify, refits)
        return best

    def _once(self, best: Program, simplify: Pass, refits: Sequence[Refit]) -> Program:
        """Go through the proposals of one pass, which hears what became of each."""
        proposals = simplify(best)
        proposal = next(proposals, None)
        while proposal is not None and not self._spent(best):
            taken = self._holds(proposal, best, refits)
            if taken is not None:
                best = taken
            try:
                proposal = proposals.send(taken)
            except StopIteration:
                break
        return best

    def _holds(self, proposal: Program, best: Program, refits: Sequence[Refit]) -> Program | None:
        """The proposal if it is to be taken, or the same with a schedule that suits it."""
        if size(proposal) >= size(best) or proposal in self._refused:
            return None
        self.tries += 1
        if self._test(proposal):
            return proposal
        for refit in refits:
            refitted = refit(best, proposal)
            if refitted is not None and size(refitted) < size(best):
                return refitted
        self._refused.add(proposal)
        return None

    def _spent(self, best: Program) -> bool:
        if self.tries >= self._most:
            self.reason = f"{self._most} tries are over"
        elif time.monotonic() >= self._deadline:
            self.reason = "its time is over"
        elif self._stop(best):
            self.reason = "it was stopped"
        return bool(self.reason)
