# SPDX-License-Identifier: GPL-2.0-only
"""Programs of the catalogue with all kinds of operations between theirs."""

from __future__ import annotations

from random import Random

from difffuzz.hunts.models import mode_of
from difffuzz.hunts.raw_findings import signature_of
from difffuzz.program import Program, generate, normalise, parse
from difffuzz.running.runner import Runner
from difffuzz.shrink.schedules import Schedules
from difffuzz.variants.catalogue import Bug

MORE = 10
"""Operations that are put in."""
TRIES = 300


class Bloated:
    """Makes programs that show one bug as its own program does."""

    def __init__(self, bug: Bug) -> None:
        self.bug = bug
        self.known = parse(bug.program)
        self.signature = signature_of(bug)
        self.run = Runner(*bug.sides(), mode_of(bug))

    def program(self, seed: int) -> Program:
        """The first of a sequence of longer programs that shows it."""
        rng = Random(seed)
        schedules = Schedules(self.run, self.signature)
        for _ in range(TRIES):
            other = generate(rng, config=self.known.config, ops=MORE)
            ops = list(self.known.ops)
            for op in other.ops[:MORE]:
                ops.insert(rng.randrange(len(ops) + 1), op)
            program: Program | None = normalise(self.known._replace(ops=tuple(ops)))
            assert program is not None
            if self.known.schedule:
                program = schedules.moved(self.known, program)
            if program is not None and self.shows(program):
                return program
        raise AssertionError(f"{self.bug.id}: no longer program shows it")

    def shows(self, program: Program) -> bool:
        """The first thing that it shows has the signature."""
        found = self.run(program).divergences
        return bool(found) and found[0].signature == self.signature
