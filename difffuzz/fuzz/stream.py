# SPDX-License-Identifier: GPL-2.0-only
"""The new programs of a seed, one after the other: what `random` runs, and the fuzzer more of.

A longer stream of the same seed has the same programs, and they go on: the fuzzer comes to what the
n-th of the short ones shows with about as many executions as the generator alone, whatever it tries
in between (docs/benchmark.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, NamedTuple

from ..program import Program, generate
from ..program.generate import DEFAULT_OPS

LONG: Final = 64
"""Operations of a new program that runs in lockstep on models, about.  A phrase finds more where
others of its theme went before: twice the operations show three times as many bugs in one and a
half times the time (docs/benchmark.md)."""
GENERATED_SEEDS: Final = 128
"""The first ones of a run's stream are among what it begins with: mixed with a corpus, they do not
wait until it is read."""


class New(NamedTuple):
    """A new program."""

    program: Program
    phrases: tuple[str, ...]
    """Their names, as often as they are in it."""


def operations_of(*sides: str) -> int:
    """How long new programs for lockstep are.  What native libraries play is followed by many that
    are almost the same: it stays short."""
    return DEFAULT_OPS if any(side.startswith("native") for side in sides) else LONG


def first_of(mode: str, count: int = GENERATED_SEEDS) -> dict[bool, int]:
    """How many of the first `count` new programs are concurrent, and how many are not."""
    concurrent = {"concurrent": count, "portfolio": count // 2}.get(mode, 0)
    return {False: count - concurrent, True: concurrent}


def stream(
    seed: int, pagings: Sequence[str], *, concurrent: bool = False, ops: int = DEFAULT_OPS
) -> Iterator[New]:
    """Programs without end of about `ops` operations, with these paging modes by lot."""
    draws = Random(seed)
    while True:
        rng = Random(draws.getrandbits(64))
        phrases: list[str] = []
        paging = rng.choice(pagings)
        program = generate(rng, paging=paging, concurrent=concurrent, ops=ops, used=phrases)
        yield New(program, tuple(phrases))
