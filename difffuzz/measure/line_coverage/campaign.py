# SPDX-License-Identifier: GPL-2.0-only
"""The programs that scripts/coverage runs: those of the corpus, then random ones."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from random import Random

from ...engine import concurrent
from ...engine.explore import explore
from ...oracle import Divergence
from ...program import Program, generate, parse
from ...program.mutate import mutate
from ...running.policy import FUZZ_STEPS
from ...running.runner import Runner
from ...sched.strategy import Pct, RandomWalk, Strategy
from ...shipped import CORPUS
from ...sides import open_side

POOL = 2000
"""Programs that mutation may start from: those of the corpus and the newest others."""
FRESH = 0.6
"""How many programs are generated, not mutated."""
NONPAGING = 0.15
CONCURRENT = 0.5
"""How many of the generated programs are for guests without paging, or have threads that race."""
SCHEDULES = 60
EXPLORED_STEPS = 30_000
"""Of a racing program about so many schedules with one preemption are run, or so many steps on each
side, whichever is more."""
WALKS = 40
WALK_GAPS = (3.0, 10.0, 30.0)
PCT_DEPTH = 4
"""So many random schedules besides, half of them walks with so many steps between two switches."""


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
        for name in ("concurrent", "races"):
            for program in programs(name):
                self._race(program)
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

    def _race(self, program: Program) -> None:
        """Its own schedule, those with one preemption as far as they go, and random ones.

        Nothing is left out as equivalent: state without a name may be what makes the difference.
        """
        legacy, tdp = open_side("legacy"), open_side("tdp")
        one = concurrent.run(program, legacy, tdp)
        limit = max(EXPLORED_STEPS, SCHEDULES * one.steps // 2)
        shown = explore(program, legacy, tdp, 1, limit=limit, reduce=False).shown
        divergences = [*one.divergences, *(each.divergence for each in shown)]
        for number in range(WALKS):
            strategy = walk(number, one.steps // 2)
            divergences += concurrent.run(program, legacy, tdp, strategy=strategy).divergences
        self._count(program, divergences)

    def _count(self, program: Program, divergences: list[Divergence]) -> None:
        self.runs += 1
        self.signatures.update(divergence.signature for divergence in divergences)
        if len(self._pool) < POOL:
            self._pool.append(program)
        else:
            self._pool[self._rng.randrange(self._kept, POOL)] = program


def walk(number: int, length: int) -> Callable[[Program], Strategy]:
    """What makes the random schedule of that number, for runs of about `length` steps."""
    if number % 2:
        return lambda _: Pct(Random(number), PCT_DEPTH, length)
    return lambda _: RandomWalk(Random(number), WALK_GAPS[number // 2 % len(WALK_GAPS)])


def programs(name: str) -> list[Program]:
    """The programs in a directory of the corpus."""
    paths = sorted((CORPUS / name).glob("*.difffuzz"))
    return [parse(path.read_bytes(), path.name) for path in paths]
