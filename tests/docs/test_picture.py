# SPDX-License-Identifier: GPL-2.0-only
"""The picture of docs/benchmark.md is that of its table."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from difffuzz.manual.picture import PICTURE, SHOWN, TABLE, draw, read_table

PAGE = TABLE.read_text(encoding="utf-8")
SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_is_of_the_table() -> None:
    """If this fails: `python -m difffuzz.manual.picture`."""
    assert PICTURE.read_text(encoding="utf-8") == draw(*read_table(PAGE))
    assert f"]({PICTURE.name})" in PAGE


def test_every_program_and_every_figure_is_in_it() -> None:
    programs, marks = read_table(PAGE)
    assert len(programs) == 22
    assert {mark.column for mark in marks} == SHOWN.keys()
    root = ET.fromstring(draw(programs, marks))
    texts = {one.text for one in root.iter(f"{SVG}text")}
    assert texts.issuperset(programs)
    shapes = [*root.iter(f"{SVG}circle"), *list(root.iter(f"{SVG}rect"))[1:]]
    assert len(shapes) == len(marks) + len(SHOWN)


def test_more_schedules_are_further_right() -> None:
    names, table = ["one"], "| program | RFF | PCT | portfolio | reads-from | random |\n|---|\n"
    found, marks = read_table(table + "| one | 1.0 | 10.0 (3) | 100.0 | - | 9999.5 |\n")
    assert found == names
    assert [(mark.column, mark.schedules) for mark in marks] == [
        ("RFF", 1.0),
        ("PCT", 10.0),
        ("portfolio", 100.0),
        ("random", 9999.5),
    ]
    root = ET.fromstring(draw(names, marks))
    circles = [float(one.get("cx", "")) for one in root.iter(f"{SVG}circle")]
    assert circles[-2] < circles[-1]


def test_a_page_without_the_table_is_told() -> None:
    with pytest.raises(ValueError, match="no table of schedules"):
        read_table("# Nothing\n")
