# SPDX-License-Identifier: GPL-2.0-only
"""The generator: valid programs that are worth running."""

from __future__ import annotations

from random import Random

import pytest

from difffuzz.program import (
    Config,
    Kind,
    Program,
    SlotSpec,
    decode,
    encode,
    generate,
    normalise,
    parse,
    render,
)
from difffuzz.program.generate import swarm
from difffuzz.program.limits import MAX_OPS
from difffuzz.program.ops import GUEST_KINDS

from .test_normalise import assert_valid

SEEDS = range(300)


def programs(**options: object) -> list[Program]:
    """One program a seed."""
    return [generate(Random(seed), **options) for seed in SEEDS]  # type: ignore[arg-type]


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("paging", ["tdp", "nonpaging"])
def test_programs_are_valid_and_have_all_forms(paging: str, concurrent: bool) -> None:
    for program in programs(paging=paging, concurrent=concurrent):
        assert_valid(program)
        assert normalise(program) is program
        assert decode(encode(program)) == program
        assert parse(render(program)) == program
        assert program.config.paging == paging
        assert concurrent or not program.schedule


def test_concurrent_programs_have_schedules_and_places_to_meet() -> None:
    made = programs(concurrent=True)
    with_schedule = sum(bool(program.schedule) for program in made)
    with_sync = sum(any(op.kind is Kind.SYNC for op in program.ops) for program in made)
    assert 0.3 < with_schedule / len(made) < 0.7
    assert 0.6 < with_sync / len(made) < 0.97


def test_races_are_mostly_where_pages_may_be_huge_and_no_generation_wraps() -> None:
    def plain(concurrent: bool) -> float:
        made = [program.config for program in programs(concurrent=concurrent)]
        return sum(
            config.max_level == 3 and config.mmio_caching and not config.gen_bias for config in made
        ) / len(made)

    assert plain(concurrent=False) < 0.65
    assert 0.7 < plain(concurrent=True) < 0.9


def test_the_seed_decides() -> None:
    assert programs(concurrent=True) == programs(concurrent=True)
    assert len(set(programs())) == len(SEEDS)


def test_a_given_configuration_is_kept() -> None:
    config = Config(vcpus=2, nx=True, slots=(SlotSpec(0, 0, 0x0, 0x400, 0, 0x0),))
    assert all(program.config == config for program in programs(config=config))


def test_the_number_of_operations() -> None:
    assert all(1 <= len(program.ops) <= MAX_OPS for program in programs(ops=2000))
    assert sum(len(program.ops) for program in programs(ops=10)) / len(SEEDS) < 20


def test_swarm_takes_different_subsets_with_an_access_in_each() -> None:
    subsets = {swarm(Random(seed)) for seed in SEEDS}
    assert len(subsets) > 250
    assert min(len(kinds) for kinds in subsets) < 8
    assert max(len(kinds) for kinds in subsets) > 25
    assert all({Kind.READ, Kind.WRITE, Kind.EXEC} & set(kinds) for kinds in subsets)


def test_every_kind_is_generated() -> None:
    assert {op.kind for program in programs() for op in program.ops} == set(Kind) - {
        Kind.SYNC,
        *GUEST_KINDS,
    }


def test_parked_faults_are_mostly_ended_after_something_happened() -> None:
    begun = ended_late = 0
    for program in programs():
        parked: dict[int, int] = {}
        for at, op in enumerate(program.ops):
            if op.kind is Kind.BEGIN_FAULT:
                begun += 1
                parked[op.thread] = at
            elif op.thread in parked:
                ended_late += op.kind is Kind.END_FAULT and at > parked[op.thread] + 1
                del parked[op.thread]
    assert begun > 200
    assert ended_late > begun * 0.6


def test_guest_accesses_mostly_hit_slots_and_each_other() -> None:
    accesses = hits = repeated = 0
    for program in programs(ops=30):
        gfns = [op.args[0] for op in program.ops if op.kind in (Kind.READ, Kind.WRITE, Kind.EXEC)]
        slots = program.config.slots
        accesses += len(gfns)
        hits += sum(any(s.gfn <= gfn < s.gfn + s.npages for s in slots) for gfn in gfns)
        repeated += len(gfns) - len(set(gfns))
    assert hits > accesses * 0.8
    assert repeated > accesses * 0.3
