# SPDX-License-Identifier: GPL-2.0-only
"""The custom mutator: deterministic, within its size, and cheap to decode again."""

from __future__ import annotations

import random

from difffuzz.fuzz.mutation import RECENT, VARIANT, Origin, ProgramMutation
from difffuzz.program import decode, encode, generate, parse
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


def test_two_of_three_programs_are_new_ones() -> None:
    def kept(mode: str) -> int:
        """Of 320 mutations, those that keep more than half of the operations."""
        mutation = ProgramMutation(mode)
        count = 0
        for seed in range(320):
            data = INPUTS[seed % len(INPUTS)]
            old = set(decode(data).ops)
            made = set(decode(mutation.mutate(data, LIMIT, seed)).ops)
            count += 2 * len(old & made) > len(old)
        return count

    assert 110 < kept("lockstep") < 170
    assert 110 < kept("concurrent") < 170


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
