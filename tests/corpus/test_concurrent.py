# SPDX-License-Identifier: GPL-2.0-only
"""The programs whose threads race: well formed, small enough to be explored, without divergence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from difffuzz.engine import concurrent, lockstep
from difffuzz.engine.explore import explore
from difffuzz.sched.strategy import Pct, RandomWalk, RoundRobin, Strategy
from difffuzz.sides import open_side

from .form import check_text, program_of, race_of

DIRECTORY = Path(__file__).parents[2] / "corpus" / "concurrent"
FILES = sorted(DIRECTORY.glob("*.difffuzz"))
FEWEST = 20
STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "round robin": lambda: RoundRobin(3),
    "walk": lambda: RandomWalk(Random(1), 10.0),
    "wild walk": lambda: RandomWalk(Random(2), 2.0),
    "pct": lambda: Pct(Random(3), 3, 200),
}
LEGACY, TDP = open_side("legacy"), open_side("tdp")


each_program = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_enough_and_nothing_else() -> None:
    assert len(FILES) >= FEWEST
    assert sorted(DIRECTORY.iterdir()) == FILES
    assert [f for f in FILES if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", f.stem)] == []


def test_no_two_are_the_same_program() -> None:
    assert len({program_of(path) for path in FILES}) == len(FILES)


@each_program
def test_program_round_trips_and_says_what_it_is_about(path: Path) -> None:
    check_text(path)


@each_program
def test_few_operations_race_after_a_setup(path: Path) -> None:
    program = program_of(path)
    race = race_of(program)
    assert len({op.thread for op in race}) <= 4
    assert len(race) <= 5
    assert program.schedule == ()


@each_program
def test_program_is_quiet_in_lockstep(path: Path) -> None:
    assert lockstep.run(program_of(path), LEGACY, TDP).divergences == []


@pytest.mark.parametrize("make", STRATEGIES.values(), ids=STRATEGIES)
@each_program
def test_program_is_quiet_concurrently(path: Path, make: Callable[[], Strategy]) -> None:
    verdict = concurrent.run(program_of(path), LEGACY, TDP, strategy=lambda _: make())
    assert verdict.divergences == []


@each_program
def test_program_is_quiet_without_preemptions(path: Path) -> None:
    found = explore(program_of(path), LEGACY, TDP, 0)
    assert found.complete
    assert not found.shown
