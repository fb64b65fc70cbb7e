# SPDX-License-Identifier: GPL-2.0-only
"""scripts/coverage: how unreached lines are named, and which names docs/coverage.md explains."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.measure.line_coverage import names
from difffuzz.measure.line_coverage.judge import judge

TEXT = '''\
"""A module."""

import os


class Table:
    """A class."""

    def find(self, key: int) -> int:
        """A method."""
        for at in range(key):
            if at and (
                at > 1  # a comment
            ):
                return at
            elif at == 7:
                key += 1
                return key
        else:
            key = 3
        try:
            key = 4
        except ValueError:
            raise
        return key


def unused() -> None:
    """Nothing calls it."""
    if os:
        print()
    print()
'''
STATEMENTS = {3, 6, 9, 11, 12, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 28, 30, 31, 32}
FIND = "kvm/table.py Table.find"


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        (set(), {}),
        ({15}, {f"{FIND}: if at and ( at > 1 )": 1}),
        ({17, 18}, {f"{FIND}: if at == 7": 2}),
        ({18}, {f"{FIND}: from return key": 1}),
        ({20}, {f"{FIND}: else of for at in range(key)": 1}),
        ({23, 24}, {f"{FIND}: except ValueError": 2}),
        ({25}, {f"{FIND}: from return key": 1}),
        ({30, 31, 32}, {"kvm/table.py unused": 3}),
        ({31}, {"kvm/table.py unused: if os": 1}),
        ({15, 25}, {f"{FIND}: if at and ( at > 1 )": 1, f"{FIND}: from return key": 1}),
    ],
)
def test_a_name_is_file_function_and_suite(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: set[int],
    expected: dict[str, int],
) -> None:
    path = tmp_path / "difffuzz" / "kvm" / "table.py"
    path.parent.mkdir(parents=True)
    path.write_text(TEXT)
    monkeypatch.setattr(names, "PACKAGE", tmp_path / "difffuzz")
    source = names.Source(path)
    assert source.unreached(STATEMENTS, missing) == expected
    assert expected.keys() <= source.names()


def test_blocks_of_a_document() -> None:
    text = """\
kvm/mmu.py not in a block
```
kvm/mmu.py whole
kvm/mmu.py Some.part
    if one
    from return two
```
Prose.
```
machine/tlb.py last
```
"""
    assert names.explained(text) == [
        "kvm/mmu.py whole",
        "kvm/mmu.py Some.part: if one",
        "kvm/mmu.py Some.part: from return two",
        "machine/tlb.py last",
    ]


def test_a_line_that_names_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"2: expected a file and a function, found 'mmu\.py'"):
        names.explained("```\nmmu.py\n```\n")


def test_what_is_explained_is_in_the_model_once() -> None:
    explained = names.explained((Path(__file__).parents[2] / "docs" / "coverage.md").read_text())
    there = set[str]().union(*(names.Source(path).names() for path in names.model_files()))
    assert len(explained) > 50
    assert [name for name in explained if name not in there] == []
    assert len(set(explained)) == len(explained)


def test_an_unexplained_line_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert judge({"a": 2}, ["a", "b"]) == 0
    assert capsys.readouterr().out == (
        "explained, but reached: b\n2 lines not reached, none of them without a reason\n"
    )
    assert judge({"a": 2, "c": 3}, ["a"]) == 3
    assert capsys.readouterr().out == (
        "not explained (3): c\n5 lines not reached, 3 of them without a reason\n"
    )
