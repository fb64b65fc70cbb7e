# SPDX-License-Identifier: GPL-2.0-only
"""Racing programs for lines that few schedules reach: well formed, and without divergence."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from difffuzz.engine import concurrent, lockstep
from difffuzz.sched.strategy import RandomWalk
from difffuzz.sides import open_side

from .form import check_text, program_of, race_of

CORPUS = Path(__file__).parents[2] / "corpus"
FILES = sorted((CORPUS / "races").glob("*.difffuzz"))
LEGACY, TDP = open_side("legacy"), open_side("tdp")


each_program = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_nothing_else_is_there_and_nothing_twice() -> None:
    assert FILES
    assert sorted((CORPUS / "races").iterdir()) == FILES
    assert [f for f in FILES if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", f.stem)] == []
    others = sorted((CORPUS / "concurrent").glob("*.difffuzz"))
    assert len({program_of(path) for path in FILES + others}) == len(FILES) + len(others)
    assert {path.stem for path in FILES}.isdisjoint(path.stem for path in others)


@each_program
def test_program_round_trips_and_says_what_it_is_about(path: Path) -> None:
    check_text(path)


@each_program
def test_few_operations_race_after_a_setup(path: Path) -> None:
    assert len(race_of(program_of(path))) <= 6


@each_program
def test_program_is_quiet(path: Path) -> None:
    program = program_of(path)
    assert lockstep.run(program, LEGACY, TDP).divergences == []
    assert concurrent.run(program, LEGACY, TDP).divergences == []
    walk = concurrent.run(program, LEGACY, TDP, strategy=lambda _: RandomWalk(Random(1), 10.0))
    assert walk.divergences == []
