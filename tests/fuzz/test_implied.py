# SPDX-License-Identifier: GPL-2.0-only
"""A branch has no mark of its own if, and only if, it comes to others whatever happens."""

from __future__ import annotations

import ast
import textwrap

import pytest

from difffuzz.fuzz.branches import Branches
from difffuzz.fuzz.implied import always_branches, jumps


def block(source: str) -> list[ast.stmt]:
    return ast.parse(textwrap.dedent(source)).body


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\nif x: f()",
        "assert x\nfor i in x: f()",
        "with x:\n    while y: f()",
        "try:\n    if x: f()\nfinally: g()",
        "return a if b else c",
        "x: int = a if b else c",
    ],
)
def test_these_come_to_a_branch(source: str) -> None:
    assert always_branches(block(source))


@pytest.mark.parametrize(
    "source",
    [
        "",
        "x = 1\nreturn x",
        "return x\nif x: f()",
        "try:\n    f()\nexcept E: g()\nif x: f()",
        "def inner():\n    if x: f()",
        "match x:\n    case 1: f()",
        "return a and b",
        "f(a if b else c)",
    ],
)
def test_these_need_not(source: str) -> None:
    assert not always_branches(block(source))


@pytest.mark.parametrize(
    ("source", "jump"),
    [
        ("return 1", True),
        ("f()\nraise E", True),
        ("if a: continue\nelse: break", True),
        ("if a: return 1", False),
        ("f()", False),
        ("", False),
    ],
)
def test_what_follows_a_jump_is_come_to_by_nobody(source: str, jump: bool) -> None:
    assert jumps(block(source)) == jump


def marks(source: str) -> int:
    branches = Branches()
    branches.compile(textwrap.dedent(source), "m.py", "m")
    return len(branches.known)


def test_guards_have_a_mark_each_and_the_rest_one() -> None:
    assert marks("def f(a, b):\n    if a: return 1\n    if b: return 2\n    return 3") == 3
    # What follows is no arm's alone.
    assert marks("def f(a, b):\n    if a: g()\n    if b: return 2\n    return 3") == 4
