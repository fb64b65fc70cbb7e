# SPDX-License-Identifier: GPL-2.0-only
"""Names for lines of the model that nothing reached, and the names that docs/coverage.md explains.

A line number would move with every change above it.  What is not reached is always a whole suite or
the end of one, so its name has the file, the function, and

    the head of the suite            if mm.pt.huge.get(index) != orig
                                     else of if cached
    "from" and a suite's statement   from return False    (the statement, and the rest of the suite)
    nothing                          the whole function

Suites of a function that begin alike share a name.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path
from typing import NamedTuple

from ...shipped import PACKAGE

MODEL = ("kvm", "machine")
FENCE = "```"
PLACE = re.compile(r"(?:kvm|machine)/\w+\.py [\w.]+")


class Suite(NamedTuple):
    """Statements that run one after the other: lines, the function they are in, their name."""

    place: str
    name: str
    first: int
    body: list[ast.stmt]

    def lines(self) -> set[int]:
        """From the first line to the last; that of `except` is a part of what it heads."""
        last = self.body[-1]
        return set(range(self.first, (last.end_lineno or last.lineno) + 1))


class Source:
    """One file of the model, whose suites have names."""

    def __init__(self, path: Path) -> None:
        text = path.read_text()
        self._text = text.splitlines()
        self._file = path.relative_to(PACKAGE).as_posix()
        self._body = ast.parse(text).body

    def unreached(self, statements: Set[int], missing: Set[int]) -> Counter[str]:
        """How many lines of `missing` each name stands for; `statements` are all that count."""
        found: Counter[str] = Counter()
        if not self._body:
            return found
        todo = [Suite("", "", self._body[0].lineno, self._body)]
        while todo:
            suite = todo.pop()
            lines = statements & suite.lines()
            if suite.name and lines and lines <= missing:
                found[suite.name] += len(lines)
                continue
            for at, statement in enumerate(suite.body):
                if statement.lineno in missing:
                    tail = suite._replace(first=statement.lineno, body=suite.body[at:])
                    found[self._tail(suite, statement)] += len(missing & tail.lines())
                    break
                todo += self._inside(suite.place, statement)
        return found

    def names(self) -> set[str]:
        """Every name that something in the file has."""
        found: set[str] = set()
        todo = [Suite("", "", 1, self._body)]
        while todo:
            suite = todo.pop()
            found.add(suite.name)
            for statement in suite.body:
                found.add(self._tail(suite, statement))
                todo += self._inside(suite.place, statement)
        return found

    def _tail(self, suite: Suite, statement: ast.stmt) -> str:
        return f"{suite.place}: from {self._text[statement.lineno - 1].strip().rstrip(':')}"

    def _inside(self, place: str, statement: ast.stmt) -> Iterator[Suite]:
        """The suites right inside a statement."""
        body: list[ast.stmt] = getattr(statement, "body", [])
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            place = f"{place}.{statement.name}" if place else f"{self._file} {statement.name}"
            yield Suite(place, place, body[0].lineno, body)
            return
        head = self._head(statement)
        if body:
            yield Suite(place, f"{place}: {head}", body[0].lineno, body)
        orelse: list[ast.stmt] = getattr(statement, "orelse", [])
        if orelse:
            yield Suite(place, f"{place}: else of {head}", orelse[0].lineno, orelse)
        for handler in getattr(statement, "handlers", []):
            name = f"{place}: {self._text[handler.lineno - 1].strip().rstrip(':')}"
            yield Suite(place, name, handler.lineno, handler.body)
        final: list[ast.stmt] = getattr(statement, "finalbody", [])
        if final:
            yield Suite(place, f"{place}: finally of {head}", final[0].lineno, final)

    def _head(self, statement: ast.stmt) -> str:
        """What stands before the colon of a compound statement, in one line."""
        body: list[ast.stmt] = getattr(statement, "body", [])
        last = max(body[0].lineno - 1, statement.lineno) if body else statement.lineno
        lines = [line.split("  #")[0].strip() for line in self._text[statement.lineno - 1 : last]]
        head = " ".join(line for line in lines if not line.startswith("#"))
        return head.rstrip(":").removeprefix("el")


def explained(text: str) -> list[str]:
    """The names in the fenced blocks of a document, in its order.

    A line of a block names a function, indented ones below it what is not reached in there.
    """
    found: list[str] = []
    fenced = False
    place, whole = "", False
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.startswith(FENCE):
            fenced = not fenced
        if whole and not (fenced and line.startswith(" ")):
            found.append(place)
        whole = False
        if not fenced or line.startswith(FENCE):
            continue
        if line.startswith(" "):
            found.append(f"{place}: {line.strip()}")
        elif PLACE.fullmatch(line):
            place, whole = line, True
        else:
            raise ValueError(f"{number}: expected a file and a function, found {line!r}")
    return found


def model_files() -> list[Path]:
    """The files of the model."""
    return sorted(path for name in MODEL for path in (PACKAGE / name).glob("*.py"))
