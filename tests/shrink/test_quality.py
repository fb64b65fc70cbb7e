# SPDX-License-Identifier: GPL-2.0-only
"""How small programs get that show known bugs, from starts with much around them.

Budgets are tries, not seconds: what comes out is the same on every machine.
"""

from __future__ import annotations

from functools import cache

import pytest

from difffuzz.program import Kind, Op
from difffuzz.program.limits import VMM_THREAD
from difffuzz.program.model import RUN_TO_BLOCK
from difffuzz.running.runner import Runner
from difffuzz.shrink.finding import Shrunk, shrink
from difffuzz.shrink.size import preemptions, size
from difffuzz.variants.catalogue import find

from .bloated import Bloated

LOCKSTEP = ("048f49809c52", "1f4e5fc83a42", "386d69f9f29b", "76d58e0f07ec", "910c57dfa4d1")
RACES = ("fcb93eb6d09d", "7cca2d0b7e7d")
BUGS = LOCKSTEP + RACES
TRIES = 5_000
NO_LIMIT = 1e9


@cache
def bloated(name: str) -> Bloated:
    return Bloated(find(name))


@cache
def shrunk(name: str, seed: int) -> Shrunk:
    made = bloated(name)
    return shrink(made.run, made.program(seed), made.signature, NO_LIMIT, tries=TRIES)


@pytest.mark.parametrize("name", BUGS)
def test_nothing_is_left_that_the_catalogues_program_does_without(name: str) -> None:
    made, result = bloated(name), shrunk(name, 1)
    assert len(made.program(1).ops) > len(made.known.ops)
    assert result.complete
    assert made.shows(result.program)
    assert len(result.program.ops) <= len(made.known.ops)
    assert preemptions(result.program) <= preemptions(made.known)


@pytest.mark.parametrize("name", BUGS)
def test_different_starts_end_as_the_same_program(name: str) -> None:
    made = bloated(name)
    assert made.program(1) != made.program(2)
    assert shrunk(name, 1).program == shrunk(name, 2).program


@pytest.mark.parametrize("name", ["048f49809c52", "7cca2d0b7e7d"])
def test_a_result_is_a_fixed_point(name: str) -> None:
    made, result = bloated(name), shrunk(name, 1)
    again = shrink(made.run, result.program, made.signature, NO_LIMIT, tries=TRIES)
    assert again.program == result.program
    assert again.complete


@pytest.mark.parametrize("name", ["1f4e5fc83a42", "fcb93eb6d09d"])
def test_shrinking_that_was_cut_goes_on_where_it_was(name: str) -> None:
    made = bloated(name)
    part = made.program(1)
    sizes = [size(part)]
    for _ in range(200):
        cut = shrink(made.run, part, made.signature, NO_LIMIT, tries=25)
        assert cut.complete or cut.reason == "25 tries are over"
        assert made.shows(cut.program)
        part = cut.program
        sizes.append(size(part))
        if sizes[-1] == sizes[-2]:
            break
    assert sizes == sorted(sizes, reverse=True)
    whole = shrink(made.run, part, made.signature, NO_LIMIT, tries=TRIES)
    assert whole.program == shrunk(name, 1).program


@pytest.mark.parametrize("name", ["57a3e96d6d17", "own-misaligned-memslot-huge"])
def test_what_needs_no_threads_ends_without(name: str) -> None:
    made = bloated(name)
    run = Runner(*made.bug.sides(), "concurrent")
    program = made.program(1)
    ops = tuple(one for op in program.ops for one in (op, Op(Kind.SYNC, VMM_THREAD)))
    program = program._replace(ops=ops, schedule=RUN_TO_BLOCK)
    [found, *_] = run(program).divergences
    assert found.signature == made.signature
    result = shrink(run, program, made.signature, NO_LIMIT, tries=TRIES)
    assert result.mode == "lockstep"
    assert result.program == shrunk(name, 1).program
