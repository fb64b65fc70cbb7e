# SPDX-License-Identifier: GPL-2.0-only
"""Where inputs come from: parents, operators and phrases, as a worker tells of what was new."""

from __future__ import annotations

import random
from pathlib import Path

from difffuzz.fuzz.mutation import Origin, ProgramMutation
from difffuzz.fuzz.news import NewsFile, input_name, read_news
from difffuzz.fuzz.options import FuzzOptions
from difffuzz.fuzz.parent import fuzz
from difffuzz.program import encode, generate

LIMIT = 4096
PARENT = encode(generate(random.Random(1)))
OTHER = encode(generate(random.Random(2)))


def test_a_mutant_has_a_parent_and_a_new_program_has_phrases() -> None:
    mutation = ProgramMutation()
    mutants = made_anew = 0
    for seed in range(100):
        mutation.decode(PARENT)
        made = mutation.mutate(PARENT, LIMIT, seed)
        origin = mutation.origin(made)
        assert origin.operators
        if origin.phrases:
            made_anew += 1
            assert origin.parents == ()
            assert "fresh" in origin.operators
        else:
            mutants += 1
            assert origin.parents == (PARENT,)
    assert mutants
    assert made_anew


def test_what_is_mutated_a_few_times_in_a_row_has_the_first_as_its_parent() -> None:
    mutation = ProgramMutation()
    for seed in range(100):
        mutation.decode(PARENT)
        made = mutation.mutate(PARENT, LIMIT, seed)
        origin = mutation.origin(made)
        again = mutation.mutate(made, LIMIT, seed + 100)
        if not mutation.origin(again).phrases:
            break
    assert mutation.origin(again).parents == (PARENT,)
    assert set(mutation.origin(again).operators) >= set(origin.operators)
    mutation.decode(again)  # it runs, is kept, and is a parent itself
    for more in range(100):
        child = mutation.mutate(again, LIMIT, more)
        if not mutation.origin(child).phrases:
            assert mutation.origin(child).parents == (again,)
            return
        mutation.decode(child)
    raise AssertionError("every mutant was a new program")


def test_a_crossover_has_two_parents() -> None:
    mutation = ProgramMutation()
    for seed in range(100):
        mutation.decode(PARENT)
        made = mutation.crossover(PARENT, OTHER, LIMIT, seed)
        if mutation.origin(made).operators == ("crossover",):
            assert mutation.origin(made).parents == (PARENT, OTHER)
            return
    raise AssertionError("no crossover")


def test_news_are_read_as_far_as_they_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "news"
    assert read_news(path, 0) == ([], 0)
    file = NewsFile(path)
    file.add(b"child", Origin((b"parent",), ("insert",), ("parked",)), 3, "PCT")
    file.add(b"other", Origin(), 1, "lockstep")
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"input": "cut')
    news, offset = read_news(path, 0)
    assert offset == len(whole)
    first, second = news
    assert (first.input, first.parents) == (input_name(b"child"), (input_name(b"parent"),))
    assert (first.operators, first.phrases) == (("insert",), ("parked",))
    assert (first.features, first.way) == (3, "PCT")
    assert second.parents == ()
    path.write_bytes(whole + b"no news\n" + whole)
    assert [one.input for one in read_news(path, offset)[0]] == [one.input for one in news]


def test_a_run_tells_of_what_it_made(tmp_path: Path) -> None:
    fuzz(FuzzOptions(runs=300, seed=1, out=tmp_path, mode="portfolio"))
    (path,) = (tmp_path / "work").glob("*.news")
    news, _ = read_news(path, 0)
    corpus = {one.name for one in (tmp_path / "corpus").iterdir()}
    assert len(news) > 10
    assert len([one for one in news if one.input in corpus]) > len(news) * 0.9
    assert all(one.features > 0 and one.operators and one.way for one in news)


def _made(seed: int) -> tuple[ProgramMutation, Origin]:
    mutation = ProgramMutation()
    made = mutation.mutate(PARENT, LIMIT, seed)
    return mutation, mutation.origin(made)
