# SPDX-License-Identifier: GPL-2.0-only
"""Lockstep of two native sides without Python in between: a filter before the engine that judges.

A program is played on each side inside its library (sides/played.py), which checks in C what the
oracles would look at; here the two records are compared.  A program is clean if nothing at all
seems wrong, or nothing but what a rule of the oracles allows.  Any other is suspicious, whatever
the reason: only lockstep.run() says what it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable

from difffuzz.engine.fast_guests import guests_differ
from difffuzz.engine.lockstep import IS_COMPARED, PART_WAYS
from difffuzz.oracle import Verdict
from difffuzz.oracle.access import alike, compare_outcomes
from difffuzz.oracle.bookkeeping import is_unprotected
from difffuzz.program import Kind, Program
from difffuzz.sched.core import STEP_LIMIT
from difffuzz.sides import KvmFactory, NativeFactory
from difffuzz.sides.encoded import Encoded
from difffuzz.sides.played import Played, PlayedOp, Player, differences

UNPROTECTED = "suspect: memslots were read without SRCU"
"""The last thing that the player looks at: all else of that side is right, and recorded."""
OUT_OF_STEPS = "fast: out of steps"
MOST_REPEATS = 16
"""Faults of one program that park on one side only, and are ended at once on both."""


class Filter(ABC):
    """Tells clean programs from suspicious ones, of two sides.

    `reasons` counts why programs were suspicious, `programs` all of them.
    """

    def __init__(self, left: KvmFactory, right: KvmFactory) -> None:
        self._factories = (left, right)
        self._names = (left.name, right.name)
        self.programs = 0
        self.reasons: Counter[str] = Counter()
        self.tells_once = False
        """A side whose memslots are read without SRCU, which harms nobody here, is suspicious for
        that until the engine has said so; then no more."""
        self._told: set[str] = set()

    def run(self, program: Program, max_steps: int) -> Verdict | None:
        """The verdict of a clean program; None for a suspicious one.

        `max_steps` bounds the preemption points of each side.  UsageError if a side cannot run the
        program's configuration.
        """
        for factory in self._factories:
            factory.check(program.config)
        self.programs += 1
        found = self._run(program, max_steps)
        if isinstance(found, Verdict):
            return found
        self.reasons[found] += 1
        return None

    @abstractmethod
    def _run(self, program: Program, max_steps: int) -> Verdict | str:
        """The verdict, or why the program is suspicious."""

    def judged(self, verdict: Verdict) -> None:
        """The engine has judged a suspicious program."""
        if self.tells_once:
            found = verdict.divergences
            self._told.update(one.sides for one in found if is_unprotected(one))

    def is_told(self, name: str) -> bool:
        """Has the engine said so of that side?"""
        return name in self._told

    def suspicion(self, name: str, played: Played) -> str:
        """Why that side's play is suspicious by itself; empty if it is not."""
        return "" if played.reason == UNPROTECTED and name in self._told else played.reason


class FastLockstep(Filter):
    """Two native sides."""

    def __init__(self, left: NativeFactory, right: NativeFactory) -> None:
        super().__init__(left, right)
        self._players = [
            Player(side.library, side.tdp_mmu, number) for number, side in enumerate((left, right))
        ]

    def _run(self, program: Program, max_steps: int) -> Verdict | str:
        encoded = Encoded(program)
        ends: set[int] = set()
        while True:
            left, right = [player.play(encoded, max_steps) for player in self._players]
            if OUT_OF_STEPS in (left.reason, right.reason) and max_steps < STEP_LIMIT:
                max_steps = STEP_LIMIT  # only without a limit can circles be told from a long way
                continue
            for name, played in zip(self._names, (left, right), strict=True):
                if suspicion := self.suspicion(name, played):
                    return suspicion
            allowed: Counter[str] = Counter()
            if program.config.guest != "none":
                differ = guests_differ(left, right, allowed)
                return differ or self._clean(program, left, right, ends, allowed)
            if left.compared() == right.compared():
                return self._clean(program, left, right, ends, allowed)
            found, alike_so_far = differences(left, right)
            parks = parked_on_one_side(found, ends)
            if parks is None:
                reason = "other operations"
                if alike_so_far:
                    reason = outcomes_differ(self._names, found, allowed)
                return reason or self._clean(program, left, right, ends, allowed)
            if len(ends) == MOST_REPEATS:
                return "parked-on-one-side"
            ends.add(parks)
            encoded.end_at_once(ends)

    def _clean(
        self, program: Program, left: Played, right: Played, ends: set[int], allowed: Counter[str]
    ) -> Verdict:
        verdict = Verdict()
        verdict.operations = len(program.ops)
        verdict.steps = left.steps + right.steps
        verdict.features.update(left.features())
        verdict.features.update(right.features())
        verdict.allowed = allowed
        if ends:
            allowed["parked-on-one-side"] = len(ends)
        return verdict


def outcomes_differ(
    names: tuple[str, str], found: Iterable[tuple[PlayedOp, PlayedOp]], allowed: Counter[str]
) -> str:
    """What the oracle of equal outcomes has against two records; empty: nothing."""
    for ours, theirs in found:
        if not IS_COMPARED[ours.kind] or alike(ours.outcome, theirs.outcome):
            continue
        fetch = ours.kind == Kind.EXEC or ours.outcome.access == Kind.EXEC
        violations = compare_outcomes(
            *names,
            ours.outcome,
            theirs.outcome,
            True,
            fetch and ours.nx,
            ours.may_be_absent or theirs.may_be_absent,
            allowed,
        )
        for violation in violations:
            return f"{violation.oracle}: {violation.location}"
        if not allowed.keys().isdisjoint(PART_WAYS):
            return "failed on one side"
    return ""


def parked_on_one_side(found: list[tuple[PlayedOp, PlayedOp]], ended: set[int]) -> int | None:
    """The first operation whose fault is parked on one side only, as lockstep would end it.

    `ended`: those whose faults are ended at once already.
    """
    for ours, theirs in found:
        if ours.kind == Kind.BEGIN_FAULT and ours.outcome.parked != theirs.outcome.parked:
            if ours.op_index not in ended:
                return ours.op_index
    return None
