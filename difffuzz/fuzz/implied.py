# SPDX-License-Identifier: GPL-2.0-only
"""Which branches need no mark of their own, for they come to marked ones whatever happens.

Such a branch is taken if and only if one of those is that it alone leads to; an exception on the
way may hide it, no more.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

_SIMPLE = (ast.Assert, ast.Delete, ast.Pass)
_WITH_VALUE = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign)
"""Statements that the next one follows."""
_JUMPS = (ast.Return, ast.Raise, ast.Break, ast.Continue)
"""Statements that none follows."""


def following(tree: ast.AST) -> dict[ast.stmt, list[ast.stmt]]:
    """What follows each if in its block."""
    found: dict[ast.stmt, list[ast.stmt]] = {}
    for node in ast.walk(tree):
        for _, block in ast.iter_fields(node):
            if isinstance(block, list):
                for at, one in enumerate(block):
                    if isinstance(one, ast.If):
                        found[one] = block[at + 1 :]
    return found


def always_branches(statements: Sequence[ast.stmt]) -> bool:
    """True if one of the statements is an if, a loop or a choice of two values that is always come
    to: each way through it has a mark, or comes to one."""
    for one in statements:
        if isinstance(one, ast.If | ast.For | ast.While):
            return True
        if isinstance(one, ast.With | ast.Try):
            return always_branches(one.body)
        if isinstance(one, (*_WITH_VALUE, ast.Return)) and isinstance(one.value, ast.IfExp):
            return True
        if not isinstance(one, _SIMPLE + _WITH_VALUE):
            return False
    return False


def jumps(statements: Sequence[ast.stmt]) -> bool:
    """True if what follows these statements is not come to by them."""
    if not statements:
        return False
    last = statements[-1]
    if isinstance(last, ast.If):
        return jumps(last.body) and jumps(last.orelse)
    return isinstance(last, _JUMPS)
