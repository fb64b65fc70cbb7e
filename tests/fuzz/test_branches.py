# SPDX-License-Identifier: GPL-2.0-only
"""Marked code does what it did, and says which branches it took."""

from __future__ import annotations

import inspect
import textwrap
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from difffuzz.fuzz.branches import Branch, Branches

SOURCE = '''
"""A module."""
LIMIT = 3 if __name__ else 4


class Walk:
    """A class."""

    def up(self, level):
        """Documented."""
        if level > LIMIT:
            return "huge"
        return "small"


def arms(a, b):
    if a and b:
        return 1
    elif a or b:
        return 2
    return 3


def loop(n):
    for i in range(n):
        if i == 2:
            break
    else:
        return "end"
    while n:
        n -= 1
    return "broken"


def caught(f):
    try:
        f()
    except KeyError:
        return "key"
    except ValueError:
        return "value"
    return "fine"


def matched(x):
    match x:
        case 1:
            return "one"
        case _:
            return "other"


def chosen(x):
    return "even" if x % 2 == 0 else "odd"


def values(a, b, c):
    kept = a and (b or c)
    other = b if a else c or "none"
    return kept, other, [a and b, b or c] or f


def guards(a, b):
    """Documented."""
    if a:
        return "a"
    if b:
        return "b"
    for i in range(2):
        b += i
    return b


def nothing():
    """Only documented."""


def made(n):
    def inner(i):
        return i or n

    return [inner(i) for i in range(n) if i != 1]
'''


@pytest.fixture
def marked() -> tuple[Branches, dict[str, Any]]:
    branches = Branches()
    module: dict[str, Any] = {"__name__": "m", **branches.names}
    exec(branches.compile(SOURCE, "m.py", "m"), module)
    return branches, module


def raises(error: type[Exception]) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("arms", [(0, 0), (0, 1), (1, 0), (1, 1)]),
        ("loop", [(0,), (2,), (5,)]),
        ("caught", [(raises(KeyError),), (raises(ValueError),), (int,)]),
        ("matched", [(1,), (2,)]),
        ("chosen", [(1,), (2,)]),
        ("values", [(0, 0, 0), (0, 0, 4), (0, 3, 0), (0, 3, 4), (2, 0, 0), (2, 3, 0)]),
        ("guards", [(1, 0), (0, 1), (0, 0)]),
        ("nothing", [()]),
        ("made", [(3,)]),
    ],
)
def test_code_does_what_it_did_and_every_way_through_is_told_apart(
    marked: tuple[Branches, dict[str, Any]], function: str, arguments: list[tuple[Any, ...]]
) -> None:
    branches, module = marked
    plain: dict[str, Any] = {"__name__": "m"}
    exec(SOURCE, plain)
    ways = set()
    for values in arguments:
        branches.clear()
        assert module[function](*values) == plain[function](*values)
        ways.add(frozenset(branches.taken))
    assert len(ways) == len(arguments)


def test_methods_and_docstrings(marked: tuple[Branches, dict[str, Any]]) -> None:
    branches, module = marked
    assert not branches.taken, "importing a module takes no branch"
    assert module["__doc__"] == "A module."
    assert inspect.getdoc(module["Walk"].up) == "Documented."
    assert module["Walk"]().up(4) == "huge"
    lines = sorted(branches.known[number] for number in branches.taken)
    assert lines == [Branch("m", 12)], "the entry comes to one of the arms"


def test_numbers_follow_the_source() -> None:
    one, two = Branches(), Branches()
    for branches in (one, two):
        branches.compile(SOURCE, "m.py", "m")
    assert one.known == two.known


def test_tracebacks_keep_their_lines() -> None:
    source = textwrap.dedent(
        """
        def f(x):
            if x and not x.y:
                return 1
            return 2
        """
    )
    branches = Branches()
    module: dict[str, Any] = branches.names
    exec(branches.compile(source, "m.py", "m"), module)
    with pytest.raises(AttributeError) as caught:
        module["f"](1)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].lineno == 3
