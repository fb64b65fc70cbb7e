# SPDX-License-Identifier: GPL-2.0-only
"""Mark the branches of Python source, so that running it tells the numbers of those taken.

A mark is put into the syntax tree: a statement that sets a cell of a list to True, or inside an
expression the call of a set's `add`, which takes twice as long.  The numbers follow the source, so
they mean the same in every process.

A branch is: a function's entry, each arm of an if (the one that is not written included), a loop's
body and its end without break, an except clause, a match case, each arm of a conditional
expression, and each operand of `and` and `or` that is reached. Only code inside functions counts.

A branch that comes to others anyway has no mark of its own (implied.py).
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import compress
from types import CodeType
from typing import NamedTuple

from .implied import always_branches, following, jumps

CELLS = "__difffuzz_branches__"
REACH = "__difffuzz_branch__"
"""The names that marked code uses; its module must have them (`Branches.names`)."""
MAX_BRANCHES = 1 << 15


class Branch(NamedTuple):
    """Where a branch begins."""

    module: str
    line: int


class Branches:
    """All branches marked in this process, and those taken since `clear()`."""

    __slots__ = ("_cells", "_numbers", "_reached", "known")

    def __init__(self) -> None:
        self.known: list[Branch] = []
        self._cells: list[bool] = []
        """For each branch: a statement's mark was passed."""
        self._numbers: list[int] = []
        self._reached: set[int] = set()
        """The marks of expressions."""

    @property
    def names(self) -> dict[str, object]:
        """What marked code calls by name."""
        return {CELLS: self._cells, REACH: self._reached.add}

    @property
    def taken(self) -> set[int]:
        """The numbers of the branches taken."""
        return self._reached.union(compress(self._numbers, self._cells))

    def clear(self) -> None:
        """None is taken from here."""
        self._cells[:] = [False] * len(self.known)
        self._reached.clear()

    def compile(self, source: str, filename: str, module: str) -> CodeType:
        """The code of a module with its branches marked."""
        tree = ast.parse(source, filename)
        tree = _Marker(self.known, module, following(tree)).visit(tree)
        assert len(self.known) <= MAX_BRANCHES, "more branches than counters"
        self._numbers = list(range(len(self.known)))
        self._cells += [False] * (len(self.known) - len(self._cells))
        ast.fix_missing_locations(tree)
        code: CodeType = compile(tree, filename, "exec", dont_inherit=True)
        return code


class _Marker(ast.NodeTransformer):
    def __init__(
        self, known: list[Branch], module: str, following: dict[ast.stmt, list[ast.stmt]]
    ) -> None:
        self._known = known
        self._module = module
        self._following = following
        self._inside = False

    def _number(self, node: ast.AST) -> ast.Constant:
        """A new branch at `node`."""
        self._known.append(Branch(self._module, getattr(node, "lineno", 0)))
        return ast.Constant(len(self._known) - 1)

    def _mark(self, at: ast.AST) -> ast.stmt:
        cell = ast.Subscript(ast.Name(CELLS, ast.Load()), self._number(at), ast.Store())
        return ast.copy_location(ast.Assign([cell], ast.Constant(True)), at)

    def _first(
        self, block: list[ast.stmt], node: ast.AST, after: Sequence[ast.stmt] = ()
    ) -> list[ast.stmt]:
        """The mark of a block that is not visited yet, if it needs one; `node` stands for a block
        that is empty.  `after` follows it, and nothing else comes to that."""
        if not self._inside or always_branches([*block, *after]):
            return []
        return [self._mark(block[0] if block else node)]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outside, self._inside = not self._inside, True
        documented = ast.get_docstring(node, clean=False) is not None
        mark = self._first(node.body[documented:], node)
        self.generic_visit(node)
        node.body[documented:documented] = mark
        self._inside = not outside
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        after = self._following[node]
        body = self._first(node.body, node, after if jumps(node.orelse) else ())
        orelse = self._first(node.orelse, node, after if jumps(node.body) else ())
        self.generic_visit(node)
        node.body[:0], node.orelse[:0] = body, orelse
        return node

    def _visit_loop(self, node: ast.For | ast.While) -> ast.AST:
        body, orelse = self._first(node.body, node), self._first(node.orelse, node)
        self.generic_visit(node)
        node.body[:0], node.orelse[:0] = body, orelse
        return node

    visit_For = _visit_loop  # noqa: N815
    visit_While = _visit_loop  # noqa: N815

    def _visit_arm(self, node: ast.ExceptHandler | ast.match_case) -> ast.AST:
        mark = self._first(node.body, node)
        self.generic_visit(node)
        node.body[:0] = mark
        return node

    visit_ExceptHandler = _visit_arm  # noqa: N815
    visit_match_case = _visit_arm

    def _value(self, value: ast.expr) -> ast.expr:
        """The value behind a mark: `add` returns None."""
        call = ast.Call(ast.Name(REACH, ast.Load()), [self._number(value)], [])
        return ast.copy_location(ast.BoolOp(ast.Or(), [call, value]), value)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if self._inside:
            node.body = self._value(node.body)
            node.orelse = self._value(node.orelse)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if self._inside:
            node.values[1:] = [self._value(value) for value in node.values[1:]]
        return node
