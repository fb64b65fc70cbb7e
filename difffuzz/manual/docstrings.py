# SPDX-License-Identifier: GPL-2.0-only
"""What source says of a name in the string below it: no object has that at run time."""

from __future__ import annotations

import ast
import inspect
import textwrap
from types import ModuleType
from typing import Any


def documented(where: ModuleType | type[Any]) -> dict[str, str]:
    """The names that a module or a class assigns, in its order, each with the string below it."""
    parsed = ast.parse(textwrap.dedent(inspect.getsource(where)))
    body = parsed.body
    if not isinstance(where, ModuleType):
        assert isinstance(body[0], ast.ClassDef)
        body = body[0].body
    found: dict[str, str] = {}
    name = ""
    for statement in body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
        elif name and isinstance(statement, ast.Expr):
            if isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str):
                found[name] = inspect.cleandoc(statement.value.value)
            name = ""
            continue
        else:
            name = ""
            continue
        found[name] = ""
    return found
