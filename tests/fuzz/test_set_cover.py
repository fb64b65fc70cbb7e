# SPDX-License-Identifier: GPL-2.0-only
"""A few programs reach what many do; what is measured is not measured again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difffuzz.errors import UsageError
from difffuzz.fuzz.set_cover import measure, set_cover

SIDES = ("legacy", "tdp", "lockstep")
SMALL = "difffuzz program v1\nslot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0\nvcpu0: read gfn=0x0\n"
LARGE = SMALL + "vcpu0: write gfn=0x1\nhost0: munmap area=1 page=0x0 n=0x10\nvcpu0: read gfn=0x0\n"


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.frozensets(st.integers(0, 12), max_size=6), max_size=12))
def test_what_is_chosen_reaches_all_and_none_for_nothing(sets: list[frozenset[int]]) -> None:
    reached = {Path(str(number)): one for number, one in enumerate(sets)}
    chosen = set_cover(reached, lambda path: 1)
    assert frozenset().union(*(reached[path] for path in chosen)) == frozenset().union(*sets)
    seen: set[int] = set()
    for path in chosen:
        assert reached[path] - seen
        seen |= reached[path]


def test_the_smaller_of_two_is_chosen() -> None:
    reached = {Path("long"): frozenset({1, 2}), Path("s"): frozenset({1, 2})}
    assert set_cover(reached, lambda path: len(str(path))) == [Path("s")]


def test_programs_are_measured_once(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    files = [tmp_path / "small", tmp_path / "large", tmp_path / "none"]
    for path, text in zip(files, (SMALL, LARGE, "what is this"), strict=True):
        path.write_text(text)
    asked: list[int] = []
    first = measure(files, SIDES, notes, str, asked.append)
    assert first[files[0]]
    assert first[files[1]] - first[files[0]]
    assert first[files[2]] == frozenset()
    lines = notes.read_text().splitlines(keepends=True)
    notes.write_text(lines[0] + lines[1][:20])  # the process was killed in between
    again = measure(files, SIDES, notes, str, asked.append)
    assert again == first
    assert asked == [1, 2, 3, 1, 2]


def test_sides_that_are_none_are_an_error_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_text(SMALL)
    with pytest.raises(UsageError, match="ends the process"):
        measure([path], ("legacy", "nothing", "lockstep"), tmp_path / "notes", str, print)
