# SPDX-License-Identifier: GPL-2.0-only
"""Shrink a program while what it shows stays the same.

Passes (passes/) propose programs; a proposal is taken if it is smaller by `size` and the
test still holds. Every step makes the program smaller, so this ends; a budget of time and tries
ends it sooner, with the best program so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..program import Config, Program, normalise
from .passes import PASSES
from .proposals import Pass

Test = Callable[[Program], bool]

Stop = Callable[[Program], bool]
"""Is asked before each try, with the smallest program so far; True ends it there."""

MAX_TRIES = 20_000


class Minimiser:
    """Shrinks one program under a budget of seconds and tries; `complete`: it could go no further
    by itself."""

    def __init__(
        self,
        test: Test,
        seconds: float,
        tries: int = MAX_TRIES,
        stop: Stop = lambda program: False,
    ) -> None:
        self.complete = False
        self._test = test
        self._stop = stop
        self._deadline = time.monotonic() + seconds
        self._tries = tries
        self._refused: set[Program] = set()

    def shrink(self, program: Program) -> Program:
        """The smallest program found; the program itself if its test does not hold."""
        best = normalise(program)
        if not self._test(best):
            return program
        while True:
            before = best
            for simplify in PASSES:
                best = self._once(best, simplify)
            if self._spent(best):
                return best
            if best == before:
                self.complete = True
                return best

    def _once(self, best: Program, simplify: Pass) -> Program:
        """Go through the proposals of one pass, which hears which ones were taken."""
        proposals = simplify(best)
        proposal = next(proposals, None)
        while proposal is not None and not self._spent(best):
            taken = self._holds(proposal, best)
            if taken:
                best = proposal
            try:
                proposal = proposals.send(taken)
            except StopIteration:
                break
        return best

    def _holds(self, proposal: Program, best: Program) -> bool:
        if size(proposal) >= size(best) or proposal in self._refused:
            return False
        self._tries -= 1
        if self._test(proposal):
            return True
        self._refused.add(proposal)
        return False

    def _spent(self, best: Program) -> bool:
        return self._tries <= 0 or time.monotonic() >= self._deadline or self._stop(best)


def size(program: Program) -> tuple[int, ...]:
    """What "smaller" means: operations first, then schedule, slots, configuration, numbers."""
    default = Config()
    config = program.config
    unusual = sum(value != usual for value, usual in zip(config, default, strict=True))
    unusual += sum(a != b for a, b in zip(config.areas, default.areas, strict=True))
    return (
        len(program.ops),
        len(program.schedule),
        len(config.slots),
        unusual,
        len({op.thread for op in program.ops}),
        sum(op.thread for op in program.ops),
        sum(value for op in program.ops for value in op.args),
        sum(value for slot in config.slots for value in slot),
        sum(step for step, _ in program.schedule),
    )
