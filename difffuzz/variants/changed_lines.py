# SPDX-License-Identifier: GPL-2.0-only
"""The statements of a variant that another one does not have, and which of them have run.

A comparison of two variants says little if what differs between them was never reached.  A
statement counts as changed if one of its lines is not in the other variant's file, as difflib
aligns the two; of an `if` or a loop only its own line counts.  Statements outside functions run at
import and are left out, and so are docstrings.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping
from types import CodeType
from typing import NamedTuple

MARK = "__difffuzz_ran__"
"""The name that marked code calls; its module must have it."""


class Statement(NamedTuple):
    """A changed statement: the file as patches spell it, and its first line."""

    path: str
    line: int


class ChangedLines:
    """The changed statements of a variant's sources against those of another, marked.

    `known` fills as modules are compiled, `ran` as they run.
    """

    def __init__(self, sources: Mapping[str, str], other: Mapping[str, str]) -> None:
        self.known: list[Statement] = []
        self.ran: set[int] = set()
        self._lines = {
            path: changed_lines(text, other.get(path, "")) for path, text in sources.items()
        }

    def compile(self, source: str, filename: str, path: str) -> CodeType:
        """The code of one file with its changed statements marked."""
        tree = ast.parse(source, filename)
        lines = self._lines.get(path)
        if lines:
            tree = ast.fix_missing_locations(_Marker(self.known, path, lines).visit(tree))
        code: CodeType = compile(tree, filename, "exec", dont_inherit=True)
        return code

    def missed(self) -> list[Statement]:
        """The changed statements that have not run, in the order of files and lines."""
        return sorted(one for number, one in enumerate(self.known) if number not in self.ran)


def changed_lines(text: str, other: str) -> set[int]:
    """Numbers of the lines of `text`, from 1, that `other` does not have in their place."""
    ours, theirs = text.splitlines(), other.splitlines()
    matcher = difflib.SequenceMatcher(None, theirs, ours, autojunk=False)
    return {
        line + 1
        for tag, _, _, start, end in matcher.get_opcodes()
        if tag in ("replace", "insert")
        for line in range(start, end)
    }


class _Marker(ast.NodeTransformer):
    def __init__(self, known: list[Statement], path: str, lines: set[int]) -> None:
        self._known = known
        self._path = path
        self._lines = lines

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._blocks(node, documented=ast.get_docstring(node, clean=False) is not None)
        return node

    def _blocks(self, node: ast.AST, documented: bool = False) -> None:
        """Marks what is changed in the blocks of a compound statement."""
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                setattr(node, name, self._block(block, documented and name == "body"))
        for arm in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            self._blocks(arm)

    def _block(self, block: list[ast.stmt], documented: bool) -> list[ast.stmt]:
        marked: list[ast.stmt] = []
        for number, statement in enumerate(block):
            if not (documented and number == 0) and self._changed(statement):
                marked.append(self._mark(statement))
            self._blocks(statement)
            marked.append(statement)
        return marked

    def _changed(self, statement: ast.stmt) -> bool:
        end = statement.end_lineno or statement.lineno
        body = getattr(statement, "body", None)
        if isinstance(body, list) and body:
            end = max(statement.lineno, body[0].lineno - 1)
        return not self._lines.isdisjoint(range(statement.lineno, end + 1))

    def _mark(self, statement: ast.stmt) -> ast.stmt:
        self._known.append(Statement(self._path, statement.lineno))
        call = ast.Call(ast.Name(MARK, ast.Load()), [ast.Constant(len(self._known) - 1)], [])
        return ast.copy_location(ast.Expr(call), statement)
