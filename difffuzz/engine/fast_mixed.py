# SPDX-License-Identifier: GPL-2.0-only
"""Lockstep of a native side, which is played, and a model: a filter as fast_lockstep.py is one.

The model runs under Python with its oracles (alone.py), the kernel's own code in C with those that
are said in C, and the two records are compared.  So a program costs what the model costs.
"""

from __future__ import annotations

from difffuzz.engine.alone import Alone
from difffuzz.engine.fast_lockstep import (
    MOST_REPEATS,
    Filter,
    outcomes_differ,
    parked_on_one_side,
)
from difffuzz.oracle import Verdict
from difffuzz.program import Program
from difffuzz.sides import KvmFactory, NativeFactory
from difffuzz.sides.encoded import Encoded
from difffuzz.sides.played import PlayedOp, Player


class FastMixed(Filter):
    """A native side, played, and a model, in either order."""

    def __init__(self, left: KvmFactory, right: KvmFactory) -> None:
        super().__init__(left, right)
        self._number = 0 if isinstance(left, NativeFactory) else 1
        native = self._factories[self._number]
        assert isinstance(native, NativeFactory)
        self._player = Player(native.library, native.tdp_mmu, self._number)

    def _run(self, program: Program, max_steps: int) -> Verdict | str:
        encoded = Encoded(program)
        ends: set[int] = set()
        while True:
            played = self._player.play(encoded, max_steps)
            if suspicion := self.suspicion(self._names[self._number], played):
                return suspicion
            other = 1 - self._number
            alone = Alone(program, self._factories[other], other, ends, max_steps)
            alone.run()
            if alone.suspicion:
                return alone.suspicion
            verdict = alone.verdict
            verdict.features.update(played.features())
            verdict.steps += played.steps
            records = [played.operations(), alone.operations]
            left, right = records if not self._number else records[::-1]
            if [_which(one) for one in left] != [_which(one) for one in right]:
                return "other operations"
            pairs = list(zip(left, right, strict=True))
            parks = parked_on_one_side(pairs, ends)
            if parks is None:
                reason = outcomes_differ(self._names, pairs, verdict.allowed)
                if ends:
                    verdict.allowed["parked-on-one-side"] = len(ends)
                return reason or verdict
            if len(ends) == MOST_REPEATS:
                return "parked-on-one-side"
            ends.add(parks)
            encoded.end_at_once(ends)


def _which(one: PlayedOp) -> tuple[int, int, int]:
    return one.op_index, one.kind, one.thread
