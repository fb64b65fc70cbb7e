# SPDX-License-Identifier: GPL-2.0-only
"""The seed programs: well formed, together covering the whole language, without divergence."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from difffuzz.engine import lockstep
from difffuzz.program import Kind, Program, normalise, parse, render
from difffuzz.program.model import AREA_KINDS, CONFIG_CHOICES
from difffuzz.program.ops import GUEST_KINDS
from difffuzz.program.text_render import HEADER
from difffuzz.sides import open_side

SEEDS = Path(__file__).parents[2] / "corpus" / "seeds"
FILES = sorted(SEEDS.glob("*.difffuzz"))
NONPAGING = "nonpaging_"
FEWEST = 46


def program_of(path: Path) -> Program:
    """The program in a seed file."""
    return parse(path.read_bytes(), path.name)


each_seed = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_enough_and_nothing_else() -> None:
    assert len(FILES) >= FEWEST
    assert sorted(SEEDS.iterdir()) == FILES


def test_names_are_unique_and_lower_snake() -> None:
    names = [path.stem for path in FILES]
    assert [name for name in names if not re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", name)] == []
    assert len(set(names)) == len(names)


def test_no_two_are_the_same_program() -> None:
    programs: dict[Program, str] = {}
    for path in FILES:
        assert programs.setdefault(program_of(path), path.stem) == path.stem


@each_seed
def test_seed_round_trips_and_is_normalised(path: Path) -> None:
    program = program_of(path)
    assert parse(render(program)) == program
    assert normalise(program) == program


@each_seed
def test_seed_is_spelled_as_it_is_rendered(path: Path) -> None:
    """Apart from comments: so a file shows every argument, and a rewritten one has no noise."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert lines == render(program_of(path)).splitlines()


@each_seed
def test_seed_says_what_it_is_about(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[:2] == [HEADER, "# SPDX-License-Identifier: GPL-2.0-only"]
    comment = 0
    while lines[2 + comment].startswith("# "):
        comment += 1
    assert 2 <= comment <= 5
    assert max(map(len, lines)) <= 100


@each_seed
def test_seed_is_small_and_of_the_paging_its_name_says(path: Path) -> None:
    program = program_of(path)
    assert 8 <= len(program.ops) <= 40
    assert (program.config.paging == "nonpaging") == path.stem.startswith(NONPAGING)


def test_every_kind_of_operation_comes_twice() -> None:
    kinds = Counter(op.kind for path in FILES for op in program_of(path).ops)
    rare = [kind.name for kind in Kind if kinds[kind] < 2 and kind not in GUEST_KINDS]
    assert rare == ["SYNC"]  # those are concurrent/'s


def test_every_kind_of_area_is_behind_a_slot() -> None:
    used = {
        program.config.areas[slot.area]
        for program in map(program_of, FILES)
        for slot in program.config.slots
    }
    assert used == set(AREA_KINDS)


@pytest.mark.parametrize("key", sorted(CONFIG_CHOICES.keys() - {"guest", "four_levels"}))
def test_every_choice_of_the_configuration_is_made(key: str) -> None:
    made = {getattr(program_of(path).config, key) for path in FILES}
    assert made == set(CONFIG_CHOICES[key])


def test_some_seed_has_vcpus_with_roots_of_four_and_of_five_levels() -> None:
    made = {program_of(path).config.four_levels for path in FILES}
    assert made == {0, 0b10}


@each_seed
def test_seed_replays_without_divergence(path: Path) -> None:
    program = program_of(path)
    # The TDP MMU cannot run a guest without paging.
    right = "spec" if program.config.paging == "nonpaging" else "tdp"
    verdict = lockstep.run(program, open_side("legacy"), open_side(right))
    assert verdict.divergences == []
    assert verdict.operations == len(program.ops)


@pytest.mark.parametrize("side", ["legacy", "tdp"])
@pytest.mark.parametrize(
    "path", [path for path in FILES if not path.stem.startswith(NONPAGING)], ids=lambda p: p.stem
)
def test_seed_shows_the_guest_what_the_specification_says(path: Path, side: str) -> None:
    verdict = lockstep.run(program_of(path), open_side(side), open_side("spec"))
    assert verdict.divergences == []
