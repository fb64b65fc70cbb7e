# SPDX-License-Identifier: GPL-2.0-only
"""The new programs of a seed, one after the other: the fuzzer's, and those of the method `random`.

So the fuzzer comes to what the n-th of them shows with not many more executions than the generator
alone, whatever it tries in between (docs/benchmark.md).  A stream of longer programs has the same
ones, and they go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, NamedTuple

from ..program import Program, generate
from ..program.generate import DEFAULT_OPS

GENERATED_SEEDS: Final = 128
"""The first ones of a run's stream are among what it begins with: mixed with a corpus, they do not
wait until it is read."""


class New(NamedTuple):
    """A new program."""

    program: Program
    phrases: tuple[str, ...]
    """Their names, as often as they are in it."""


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
