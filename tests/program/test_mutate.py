# SPDX-License-Identifier: GPL-2.0-only
"""Mutators: closed over normalised programs, deterministic, and each does what its name says."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difffuzz.program import (
    Config,
    Kind,
    Op,
    Program,
    SlotSpec,
    decode,
    generate,
    mutate,
    normalise,
)
from difffuzz.program.limits import MAX_OPS
from difffuzz.program.mutate import (
    MUTATORS,
    Mutator,
    change_field,
    change_kind,
    crossover,
    delete,
    duplicate,
    edit_config,
    edit_schedule,
    insert,
    move,
    retarget_gfn,
    splice,
)

from .strategies import PROGRAMS, PROPERTY
from .test_normalise import assert_valid

SEEDS = st.integers(0, 1 << 30)
PROGRAM = generate(Random(6), ops=20, concurrent=True)
OTHER = generate(Random(7), ops=20)
FULL = decode(bytes(Random(7).randbytes(1 << 14)))


def results(mutator: Mutator, program: Program = PROGRAM, count: int = 100) -> list[Program]:
    """What the mutator makes of the program with several seeds."""
    return [mutator.apply(program, Random(seed), OTHER) for seed in range(count)]


@settings(PROPERTY, max_examples=60)
@given(PROGRAMS, PROGRAMS | st.none(), SEEDS)
@pytest.mark.parametrize("mutator", MUTATORS, ids=lambda mutator: mutator.name)
def test_closed(mutator: Mutator, program: Program, other: Program | None, seed: int) -> None:
    result = mutator.apply(program, Random(seed), other)
    assert_valid(result)
    assert normalise(result) is result


@PROPERTY
@given(PROGRAMS, PROGRAMS, SEEDS, st.booleans())
def test_mutate_and_crossover_are_closed(
    program: Program, other: Program, seed: int, concurrent: bool
) -> None:
    assert_valid(mutate.mutate(program, Random(seed), other, concurrent=concurrent))
    assert_valid(crossover(program, other, Random(seed)))


@pytest.mark.parametrize("mutator", MUTATORS, ids=lambda mutator: mutator.name)
@pytest.mark.parametrize("program", [Program(), FULL], ids=["empty", "full"])
def test_smallest_and_largest_program(mutator: Mutator, program: Program) -> None:
    for result in results(mutator, program, 20):
        assert_valid(result)


def test_the_seed_decides() -> None:
    for seed in range(50):
        first = mutate.mutate(PROGRAM, Random(seed), OTHER)
        assert first == mutate.mutate(PROGRAM, Random(seed), OTHER)


def test_mutate_nearly_always_changes_something() -> None:
    made = [mutate.mutate(PROGRAM, Random(seed), OTHER) for seed in range(300)]
    assert sum(result == PROGRAM for result in made) < 10
    assert len(set(made)) > 250


def test_an_empty_program_grows() -> None:
    program = Program()
    lengths = []
    for seed in range(50):
        program = mutate.mutate(program, Random(seed))
        lengths.append(len(program.ops))
    assert sum(lengths[25:]) > 25 * 3


def test_schedules_change_only_where_they_matter() -> None:
    plain = PROGRAM._replace(schedule=())
    assert all(not mutate.mutate(plain, Random(seed)).schedule for seed in range(50))
    with_schedule = [mutate.mutate(plain, Random(seed), concurrent=True) for seed in range(50)]
    assert any(result.schedule for result in with_schedule)
    lockstep = [mutate.mutate(PROGRAM, Random(seed), concurrent=False) for seed in range(50)]
    assert all(result.schedule == PROGRAM.schedule for result in lockstep)


def test_insert_keeps_what_was_there() -> None:
    for result in results(insert):
        assert len(result.ops) > len(PROGRAM.ops)
        assert not Counter(PROGRAM.ops) - Counter(result.ops)


def test_delete_takes_away() -> None:
    program = PROGRAM._replace(config=PROGRAM.config._replace(vcpus=4))
    for result in results(delete, program):
        assert len(result.ops) < len(program.ops)
        assert not Counter(result.ops) - Counter(program.ops)


def test_duplicate_adds_the_same_kinds() -> None:
    for result in results(duplicate):
        assert len(result.ops) > len(PROGRAM.ops)
        assert {op.kind for op in result.ops} == {op.kind for op in PROGRAM.ops}


def test_duplicate_can_walk_over_many_gfns() -> None:
    slot = SlotSpec(0, 0, 0x0, 0x40000, 0, 0x0)
    program = Program(Config(slots=(slot,)), (Op(Kind.READ, 0, (0,)),))
    assert max(len({op.args for op in result.ops}) for result in results(duplicate, program)) > 60


def test_move_keeps_the_operations() -> None:
    program = PROGRAM._replace(config=PROGRAM.config._replace(vcpus=4))
    for result in results(move, program):
        kept = Counter((op.kind, op.args) for op in result.ops)
        assert kept == Counter((op.kind, op.args) for op in program.ops)


def test_retarget_changes_addresses_only() -> None:
    made = results(retarget_gfn)
    for result in made:
        assert [op.kind for op in result.ops] == [op.kind for op in PROGRAM.ops]
        assert [op.thread for op in result.ops] == [op.thread for op in PROGRAM.ops]
    assert len(set(made)) > 30


def test_change_kind_changes_one_operation() -> None:
    for result in results(change_kind):
        pairs = zip(result.ops, PROGRAM.ops, strict=True)
        assert sum(new.kind != old.kind for new, old in pairs) <= 1


def test_change_kind_stays_at_the_place() -> None:
    slot = SlotSpec(0, 0, 0x0, 0x400, 0, 0x0)
    program = Program(Config(slots=(slot,)), (Op(Kind.WRITE, 0, (0x123,)),))
    for result in results(change_kind, program):
        assert result.ops[0].args[:1] in ((), (0x123,), (0,), (1,))


def test_change_field_changes_one_argument() -> None:
    for result in results(change_field):
        assert [op.kind for op in result.ops] == [op.kind for op in PROGRAM.ops]
        assert sum(a != b for a, b in zip(result.ops, PROGRAM.ops, strict=True)) <= 1


def test_splice_takes_from_the_other() -> None:
    assert splice.apply(PROGRAM, Random(1), None) is PROGRAM
    taken = {op.kind for result in results(splice) for op in result.ops}
    assert taken == {op.kind for op in (*PROGRAM.ops, *OTHER.ops)}


def test_edit_config_leaves_paging_alone() -> None:
    program = PROGRAM._replace(config=PROGRAM.config._replace(layout="ept"))
    made = results(edit_config, program, 400)
    assert {result.config.paging for result in made} == {PROGRAM.config.paging}
    for field in ("layout", "ad", "nx", "areas", "slots", "mmu_pages", "vcpus"):
        assert len({getattr(result.config, field) for result in made}) > 1, field


def test_edit_schedule_leaves_the_rest_alone() -> None:
    made = results(edit_schedule, PROGRAM, 120)
    plain = [op for op in PROGRAM.ops if op.kind is not Kind.SYNC]
    for result in made:
        assert result.config == PROGRAM.config
        assert [op for op in result.ops if op.kind is not Kind.SYNC] == plain
    assert len({result.schedule for result in made}) > 50
    assert len({len(result.ops) for result in made}) > 1


def test_crossover_has_operations_of_both() -> None:
    children = [crossover(PROGRAM, OTHER, Random(seed)) for seed in range(100)]
    both = Counter(op.kind for op in (*PROGRAM.ops, *OTHER.ops))
    for child in children:
        assert not Counter(op.kind for op in child.ops) - both
    assert any(len(child.ops) == len(PROGRAM.ops) + len(OTHER.ops) for child in children)


def test_programs_do_not_bloat() -> None:
    sizes = []
    for seed in range(8):
        rng, program = Random(seed), PROGRAM
        for _ in range(200):
            program = mutate.mutate(program, rng, OTHER)
        sizes.append(len(program.ops))
    assert sum(sizes) / len(sizes) < 120


def test_limits_hold_under_growth() -> None:
    assert len(FULL.ops) <= MAX_OPS
    grown = crossover(FULL, FULL, Random(2))
    for seed in range(30):
        grown = duplicate.apply(grown, Random(seed))
    assert len(grown.ops) <= MAX_OPS
