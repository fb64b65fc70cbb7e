# SPDX-License-Identifier: GPL-2.0-only
"""What the model does differently is marked where it does it, and docs/model.md tells of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from difffuzz.manual.departures import KINDS, PAGE, departures, page_with_tables, tables
from difffuzz.sides import KERNELS
from difffuzz.variants.catalogue import catalogue
from difffuzz.variants.engine import model_sources, patched

MARKED = departures()
MODULE = """\
# From 6.2: before.
def first() -> None:
    # Mended (abc): one
    # two.
    x = 1
    # Left out: three.
    # Otherwise: four.
    y = 2


# a comment
# Left out: top.
Y = 1
"""


def test_the_page_has_the_tables_as_the_code_has_them() -> None:
    """If this fails: `python -m difffuzz.manual.departures`."""
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"<!-- departures: {name} -->" in page for name in tables())
    assert page == page_with_tables(page)


def test_a_marker_names_its_function_and_goes_over_lines(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(MODULE)
    assert [(one.kind, one.id, one.text, one.place) for one in departures(tmp_path)] == [
        ("From 6.2", "", "before.", "first"),
        ("Mended", "abc", "one two.", "first"),
        ("Left out", "", "three.", "first"),
        ("Otherwise", "", "four.", "first"),
        ("Left out", "", "top.", ""),
    ]


def changed_lines(text: str, other: str) -> Iterator[int]:
    """Lines of `text`, from 1, that `other` has not; and those before which it has more."""
    compared = SequenceMatcher(None, text.splitlines(), other.splitlines(), autojunk=False)
    for same, first, last, _, _ in compared.get_opcodes():
        if same != "equal":
            yield from range(first + 1, max(first + 1, last) + 1)


def functions_that_6_1_has_otherwise() -> list[tuple[str, str]]:
    """File and function of each line that `v6.1.patch` changes, without imports."""
    found = set()
    of_6_1 = patched([KERNELS / "v6.1.patch"])
    for path, text in model_sources().items():
        tree = ast.walk(ast.parse(text))
        functions = [node for node in tree if isinstance(node, ast.FunctionDef)]
        for line in changed_lines(text, of_6_1.get(path, "")):
            for node in functions:
                if node.lineno <= line <= (node.end_lineno or 0):
                    found.add((Path(path).name, node.name))
    return sorted(found)


@pytest.mark.parametrize(("file", "function"), functions_that_6_1_has_otherwise())
def test_what_6_1_has_otherwise_is_marked(file: str, function: str) -> None:
    marked = {(one.file, one.place) for one in MARKED if one.kind[:4] in ("Mend", "From")}
    assert (file, function) in marked


def test_ids_are_rows_of_the_catalogue_and_bugs_of_6_1_are_marked() -> None:
    rows = {bug.id: bug for bug in catalogue()}
    ids = {one.id for one in MARKED if one.id}
    assert ids <= rows.keys()
    had = {name for name, bug in rows.items() if bug.not_on.get("v6.1", "").startswith("it has")}
    assert had <= ids
    assert all(one.id for one in MARKED if one.kind == "Mended")


def test_every_kind_is_in_use() -> None:
    used = {"From 6.N" if one.kind.startswith("From") else one.kind for one in MARKED}
    assert used == KINDS.keys()
