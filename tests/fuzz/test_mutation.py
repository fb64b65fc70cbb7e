# SPDX-License-Identifier: GPL-2.0-only
"""The custom mutator: deterministic, within its size, and cheap to decode again."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest

from difffuzz.fuzz.corpus import prepare
from difffuzz.fuzz.mutation import RECENT, VARIANT, Origin, ProgramMutation
from difffuzz.fuzz.stream import GENERATED_SEEDS, first_of, stream
from difffuzz.program import Program, decode, encode, generate, parse
from difffuzz.program.mutate import MUTATORS

INPUTS = [encode(generate(random.Random(seed))) for seed in range(8)]
LIMIT = 4096


def chain(seed: int) -> list[bytes]:
    mutation = ProgramMutation()
    made = []
    for step in range(3 * RECENT):
        data = INPUTS[step % len(INPUTS)]
        made.append(mutation.mutate(data, LIMIT, seed + step))
        made.append(mutation.crossover(data, made[-1], LIMIT, seed + step))
    return made


def test_the_same_seeds_make_the_same_programs() -> None:
    assert chain(5) == chain(5)
    assert chain(5) != chain(6)


def test_mutations_change_the_program() -> None:
    mutation = ProgramMutation()
    changed = sum(
        decode(mutation.mutate(data, LIMIT, seed)) != decode(data)
        for data in INPUTS
        for seed in range(20)
    )
    assert changed > 150


def test_the_size_limit_is_kept_and_the_result_still_decodes_to_what_runs() -> None:
    mutation = ProgramMutation()
    for seed in range(50):
        data = mutation.mutate(INPUTS[seed % len(INPUTS)], 40, seed)
        assert len(data) <= 40
        assert mutation.decode(data) == decode(data)


def test_a_guest_may_be_nonpaging_where_both_sides_can_run_it() -> None:
    def modes(*pagings: str) -> set[str]:
        mutation = ProgramMutation("lockstep", pagings)
        made = (mutation.mutate(INPUTS[seed % 8], LIMIT, seed) for seed in range(40))
        return {decode(data).config.paging for data in made}

    assert modes("tdp") == {"tdp"}
    assert modes("tdp", "nonpaging") == {"tdp", "nonpaging"}


def test_no_mutant_makes_the_host_err() -> None:
    mutation = ProgramMutation("portfolio")
    text = """difffuzz program v1
    config host_errs=on
    slot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0
    host0: invalidate area=1 page=0x1 n=0x1 start
    host0: dontneed area=1 page=0x1 n=0x0
    """
    erring = encode(parse(text))
    assert decode(erring).config.host_errs
    for seed in range(40):
        made = mutation.mutate(erring, LIMIT, seed)
        assert not decode(made).config.host_errs
        assert not decode(mutation.crossover(erring, made, LIMIT, seed)).config.host_errs


def test_what_made_an_input_is_named() -> None:
    mutation = ProgramMutation()
    names = {mutator.name for mutator in MUTATORS} | {"crossover"}
    seen: set[str] = set()
    for seed in range(200):
        data = INPUTS[seed % len(INPUTS)]
        made = mutation.mutate(data, LIMIT, seed)
        by = mutation.origin(made).operators
        assert by
        assert len(set(by)) == len(by)
        seen |= set(by)
        crossed = mutation.crossover(data, made, LIMIT, seed)
        seen |= set(mutation.origin(crossed).operators)
        assert mutation.origin(made).operators == () or made == crossed
    assert seen <= names
    assert {"fresh", "crossover", "insert", "delete"} <= seen
    assert mutation.origin(b"what nobody made").operators == ()


def test_most_programs_are_new_ones() -> None:
    """Of all inputs, crossovers too; concurrent runs have more mutants, whose schedules matter."""

    def share(mode: str) -> float:
        mutation = ProgramMutation(mode, seed=1)
        new = 0
        for seed in range(400):
            data = INPUTS[seed % len(INPUTS)]
            if seed % 2:
                made = mutation.mutate(data, LIMIT, seed)
            else:
                made = mutation.crossover(data, INPUTS[0], LIMIT, seed)
            mutation.decode(made)
            new += "fresh" in mutation.origin(made).operators
        return new / 400

    assert 1 / 1.3 - 0.04 < share("lockstep") < 0.85
    assert 0.5 < share("concurrent") < 0.65


def new_programs(mode: str, seed: int | None, first: int = 1) -> list[Program]:
    """Those among what a mutator makes."""
    mutation = ProgramMutation(mode, seed=seed)
    new = []
    for number in range(60):
        made = mutation.mutate(INPUTS[number % len(INPUTS)], LIMIT, first + number)
        program = mutation.decode(made)
        if mutation.origin(made).operators == ("fresh",):
            new.append(program)
    return new


@pytest.mark.parametrize("mode", ["lockstep", "concurrent", "portfolio"])
def test_new_programs_come_as_in_the_stream_of_the_seed(mode: str) -> None:
    """Whatever libFuzzer asks for in between."""
    made = new_programs(mode, 7)
    assert len(made) > 20
    streams = [
        [new.program for new in islice(stream(7, ("tdp",), concurrent=concurrent), 60)]
        for concurrent in (False, True)
    ]
    parts = [[one for one in made if one in drawn] for drawn in streams]
    assert [bool(part) for part in parts] == [mode != "concurrent", mode != "lockstep"]
    assert parts == [drawn[: len(part)] for drawn, part in zip(streams, parts, strict=True)]
    assert sum(map(len, parts)) == len(made)
    assert made != new_programs(mode, 8)


def test_a_long_program_begins_as_the_short_one_of_the_same_seed() -> None:
    """Programs far up are moved there as a whole."""
    pairs = list(zip(islice(stream(3, ("tdp",)), 50), stream(3, ("tdp",), ops=64), strict=False))
    same = [
        short.program.config == long.program.config
        and long.program.ops[: len(short.program.ops)] == short.program.ops
        for short, long in pairs
    ]
    assert sum(same) >= 47
    assert sum(len(long.program.ops) for _, long in pairs) > 2 * sum(
        len(short.program.ops) for short, _ in pairs
    )


@pytest.mark.parametrize("mode", ["lockstep", "concurrent", "portfolio"])
def test_what_was_read_comes_no_second_time(mode: str, tmp_path: Path) -> None:
    """The first new programs are among what a run begins with; the others follow."""
    assert prepare(None, tmp_path, 7, mode=mode) == GENERATED_SEEDS
    read = {decode(path.read_bytes()) for path in tmp_path.iterdir()}
    mutation = ProgramMutation(mode, seed=7, begun=True)
    for concurrent, count in first_of(mode).items():
        endless = stream(7, ("tdp",), concurrent=concurrent)
        drawn = [new.program for new in islice(endless, count + 1)]
        assert set(drawn[:count]) <= read
        assert mutation._next_new(concurrent) == drawn[count]


def test_without_a_seed_the_first_mutation_gives_one() -> None:
    assert new_programs("lockstep", None, 1) == new_programs("lockstep", None, 1)
    assert new_programs("lockstep", None, 1) != new_programs("lockstep", None, 2)


def test_variants_come_next_and_name_their_program() -> None:
    mutation = ProgramMutation()
    mutation.mutate(INPUTS[0], LIMIT, 1)
    variants = [decode(INPUTS[2]), decode(INPUTS[3])]
    mutation.follow(INPUTS[1], variants)
    made = mutation.mutate(INPUTS[4], LIMIT, 2), mutation.crossover(INPUTS[5], INPUTS[6], LIMIT, 3)
    assert made == (INPUTS[2], INPUTS[3])
    assert mutation.origin(INPUTS[3]) == Origin((INPUTS[1],), (VARIANT,))
    last = mutation.mutate(INPUTS[4], LIMIT, 2)
    assert VARIANT not in mutation.origin(last).operators
