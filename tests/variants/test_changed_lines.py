# SPDX-License-Identifier: GPL-2.0-only
"""Which statements of a variant are its own, and which of them ran."""

from __future__ import annotations

from typing import Any

from difffuzz.variants.changed_lines import MARK, ChangedLines, changed_lines

OLD = '''\
def f(x):
    """Once."""
    if x > 1:
        return 1
    for i in range(x):
        x += i
    return x
'''
NEW = '''\
def f(x):
    """Twice."""
    if x > 2:
        return 1
    for i in range(x):
        x += 2 * i
    else:
        x += 1
    return x
'''


def marked(new: str, old: str) -> tuple[ChangedLines, dict[str, Any]]:
    """The module of `new` with what `old` lacks marked."""
    marks = ChangedLines({"f.py": new}, {"f.py": old})
    module: dict[str, Any] = {MARK: marks.ran.add}
    exec(marks.compile(new, "f.py", "f.py"), module)
    return marks, module


def test_lines_that_are_not_in_the_other() -> None:
    assert changed_lines(NEW, OLD) == {2, 3, 6, 7, 8}
    assert changed_lines(OLD, NEW) == {2, 3, 6}
    assert changed_lines(OLD, OLD) == set()


def test_a_docstring_and_an_else_are_no_statements() -> None:
    marks, _ = marked(NEW, OLD)
    assert [one.line for one in marks.known] == [3, 6, 8]


def test_statements_that_ran_are_noted() -> None:
    marks, module = marked(NEW, OLD)
    assert module["f"](3) == 1
    assert [one.line for one in marks.missed()] == [6, 8]
    assert module["f"](1) == 2
    assert marks.missed() == []


def test_the_same_file_has_no_marks() -> None:
    marks, module = marked(OLD, OLD)
    assert module["f"](2) == 1
    assert marks.known == []


def test_a_file_that_the_other_lacks_is_changed_as_a_whole() -> None:
    marks = ChangedLines({"f.py": OLD}, {})
    marks.compile(OLD, "f.py", "f.py")
    assert [one.line for one in marks.known] == [3, 4, 5, 6, 7]
