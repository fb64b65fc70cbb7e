# SPDX-License-Identifier: GPL-2.0-only
"""Raw findings of a known bug: programs as a fuzzer finds them, before anything is shrunk.

Programs of the generator come first, then mutants of the catalogue's program that have grown by
pieces of generated ones.  Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from ..program import Program, generate, parse
from ..program.mutate import crossover, mutate
from ..running.policy import FUZZ_STEPS
from ..running.runner import Runner
from ..variants.catalogue import Bug
from .models import mode_of, pagings_of

GENERATED = 300
"""Programs from nothing that are tried first."""
GROWN = 3_000
"""Mutants of the catalogue's program that are tried then."""
GROWTHS = (2, 3, 4, 6)
"""Mutations of such a one, each with a generated program to take from."""


def raw_findings(
    bug: Bug, signature: str, seed: int = 0, generated: int = GENERATED, grown: int = GROWN
) -> Iterator[Program]:
    """Different programs whose first divergence has that signature, those of several threads with
    the schedule that shows it; ends when so many were tried."""
    run = Runner(*bug.sides(), mode_of(bug), FUZZ_STEPS, explores=True)
    seen: set[Program] = set()
    for program in _candidates(bug, Random(seed), generated, grown):
        verdict = run(program)
        if not verdict.divergences or verdict.divergences[0].signature != signature:
            continue
        if verdict.schedule is not None:
            program = program._replace(schedule=verdict.schedule)
        if program not in seen:
            seen.add(program)
            yield program


def signature_of(bug: Bug) -> str:
    """What the catalogue's program shows first."""
    return Runner(*bug.sides(), mode_of(bug))(parse(bug.program)).divergences[0].signature


def _candidates(bug: Bug, rng: Random, generated: int, grown: int) -> Iterator[Program]:
    pagings, concurrent = pagings_of(bug), bug.concurrent
    for _ in range(generated):
        yield generate(rng, paging=rng.choice(pagings), concurrent=concurrent)
    known = parse(bug.program)
    for _ in range(grown):
        program = known
        for _ in range(rng.choice(GROWTHS)):
            other = generate(rng, paging=known.config.paging, concurrent=concurrent)
            program = mutate(program, rng, other, concurrent=concurrent)
        if rng.random() < 0.5:
            other = generate(rng, config=program.config, concurrent=concurrent)
            program = crossover(program, other, rng)
        yield program
