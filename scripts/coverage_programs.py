# SPDX-License-Identifier: GPL-2.0-only
"""The programs that scripts/coverage runs: those of the corpus, then random ones."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from random import Random

from difffuzz.engine.explore import explore
from difffuzz.fuzz.run import FUZZ_STEPS, Runner
from difffuzz.oracle import Divergence
from difffuzz.program import Program, generate, parse
from difffuzz.program.mutate import mutate
from difffuzz.sides import open_side

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
POOL = 2000
"""Programs that mutation may start from: those of the corpus and the newest others."""
FRESH = 0.3
"""How many programs are generated, not mutated."""
NONPAGING = 0.15
CONCURRENT = 0.5
"""How many of the generated programs are for guests without paging, or have threads that race."""
EXPLORED_STEPS = 40_000
"""About so many steps of a racing program are spent on schedules with one preemption, a side."""


class Campaign:
    """Runs programs and counts them, and their divergences by signature."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._pair = Runner("legacy", "tdp", max_steps=FUZZ_STEPS, explores=True)
        # The TDP MMU cannot run a guest without paging.
        self._nonpaging = Runner("legacy", "spec", max_steps=FUZZ_STEPS)
        self._pool: list[Program] = []
        self._kept = 0
        self.runs = 0
        self.signatures: Counter[str] = Counter()

    def run_corpus(self) -> None:
        """The seeds and the regressions as they are, racing programs under many schedules."""
        for name in ("seeds", "regressions"):
            for program in programs(name):
                self._run(program)
        for program in programs("concurrent"):
            self._explore(program)
        self._kept = len(self._pool)

    def fuzz(self, seconds: float) -> None:
        """Generated programs and mutants of earlier ones."""
        rng, pool = self._rng, self._pool
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if rng.random() >= FRESH:
                program = mutate(rng.choice(pool), rng, rng.choice(pool))
            elif rng.random() < NONPAGING:
                program = generate(rng, paging="nonpaging")
            else:
                program = generate(rng, concurrent=rng.random() < CONCURRENT)
            self._run(program)

    def _run(self, program: Program) -> None:
        runner = self._nonpaging if program.config.paging == "nonpaging" else self._pair
        self._count(program, runner(program).divergences)

    def _explore(self, program: Program) -> None:
        legacy, tdp = open_side("legacy"), open_side("tdp")
        found = explore(program, legacy, tdp, 1, limit=EXPLORED_STEPS)
        self._count(program, [one.divergence for one in found.shown])

    def _count(self, program: Program, divergences: list[Divergence]) -> None:
        self.runs += 1
        self.signatures.update(divergence.signature for divergence in divergences)
        if len(self._pool) < POOL:
            self._pool.append(program)
        else:
            self._pool[self._rng.randrange(self._kept, POOL)] = program


def programs(name: str) -> list[Program]:
    """The programs in a directory of the corpus."""
    paths = sorted((CORPUS / name).glob("*.difffuzz"))
    return [parse(path.read_bytes(), path.name) for path in paths]
