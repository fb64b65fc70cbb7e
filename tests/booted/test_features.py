# SPDX-License-Identifier: GPL-2.0-only
"""Feedback of a booted kernel: what is new is kept and changed, what is not is not."""

from __future__ import annotations

from random import Random

import pytest

from difffuzz.booted.observed import Change, Fault, Run, Seen, Set
from difffuzz.engine.kernel_features import MOST_KEPT, Feature, Pool, features
from difffuzz.program import Program, generate, parse

from .test_judge import seen

PROGRAM = parse("""difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x80 area=1 page=0x0
vcpu0: read gfn=0x41
vcpu0: write gfn=0x41
""")
READ = seen("ok", 0, faults=[Fault(0x41, "FIXED")], stats={"pages_4k": 1})
WRITE = seen("ok", 3, stats={"pages_4k": 1})


def shown(*runs: Seen, mmu: str = "tdp") -> set[Feature]:
    return features(PROGRAM, Run(list(runs), [], False), mmu)


@pytest.mark.parametrize(
    "other",
    [
        WRITE._replace(faults=[Fault(0x41, "RETRY"), Fault(0x41, "FIXED")]),
        WRITE._replace(result="mmio"),
        WRITE._replace(sets=[Set(0x41, 1, 0x9000E67)]),
        WRITE._replace(changes=[Change(0x41, 1, 0x9000E65, 0)]),
        WRITE._replace(stats={"pages_4k": 9}),
    ],
    ids=["answers", "result", "set", "changed", "statistics"],
)
def test_what_an_operation_shows_is_new(other: Seen) -> None:
    assert shown(READ, WRITE) < shown(READ, WRITE) | shown(READ, other)


def test_what_tells_nothing_is_not_new() -> None:
    """Where a page is, which tag is read, and what was not done."""
    plain = shown(READ, WRITE)
    assert shown(READ._replace(value=7), WRITE._replace(value=9)) == plain
    moved = [Set(0x41, 1, 0x9000E67)], [Set(0x42, 1, 0xA000E67)]
    assert len({frozenset(shown(READ, WRITE._replace(sets=one))) for one in moved}) == 1
    left_out = WRITE._replace(note="the page did not move", stats={"pages_4k": 7})
    assert shown(READ, left_out) <= plain
    assert not shown(READ, WRITE, mmu="legacy") & plain


def test_the_pool_keeps_what_is_new() -> None:
    pool = Pool(Random(1))
    one, other = shown(READ, WRITE), shown(READ, WRITE._replace(result="mmio"))
    assert pool.tell(PROGRAM, one)
    assert not pool.tell(PROGRAM, one)
    assert pool.tell(PROGRAM, other)
    assert (pool.kept, pool.seen) == (2, len(one | other))


def test_it_makes_programs_of_those_it_keeps() -> None:
    """Far more of them share a line with it than of those that are generated."""
    assert Pool(Random(3)).next() == generate(Random(3), near=True)
    pool = Pool(Random(3))
    pool.tell(PROGRAM, shown(READ, WRITE))
    kept = set(PROGRAM.ops)
    like = [bool(kept & set(made.ops)) for made in _many(pool)]
    assert sum(like) > 100
    assert sum(bool(kept & set(made.ops)) for made in _many(Pool(Random(3)))) < 50


def _many(pool: Pool) -> list[Program]:
    return [pool.next() for _ in range(200)]


def test_it_does_not_grow_without_end() -> None:
    pool = Pool(Random(1))
    for number in range(MOST_KEPT + 5):
        assert pool.tell(PROGRAM, {Feature("tdp", "ended", number)})
    assert pool.kept == MOST_KEPT
