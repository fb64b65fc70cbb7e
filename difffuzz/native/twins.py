# SPDX-License-Identifier: GPL-2.0-only
"""Twins: files of harness/native/machine that say in C what modules of difffuzz say in Python.

harness/native/machine/twins.toml names them, with a digest of each file as it was when somebody
last looked at both.  Whoever changes one is told of the other:

    python -m difffuzz.native.twins                 which have changed (status 1 if any has)
    python -m difffuzz.native.twins access.c ...    both were looked at: their digests are renewed

Comments, docstrings, imports and the layout of the text do not count.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..errors import UsageError
from ..shipped import HARNESS, PACKAGE
from .c_text import without_comments
from .cache import short_digest, write_atomic

FOLDER = HARNESS / "machine"
LIST = "twins.toml"
COMMAND = "python -m difffuzz.native.twins"

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Twin(msgspec.Struct, forbid_unknown_fields=True):
    """One file of C and the modules that it restates, each with its digest."""

    c: str
    """Relative to harness/native/machine."""
    digest: str
    python: dict[str, str]
    """Modules relative to the package, `machine/age.py`."""
    lacks: str = ""
    """What of them the C does not say."""


class Twins(msgspec.Struct, forbid_unknown_fields=True):
    """The whole list."""

    twin: list[Twin]
    alone: dict[str, str]
    """Files of C without a twin, and why."""


def read_twins(folder: Path) -> Twins:
    """The list in a folder of C files.  UsageError: it is not there or says something else."""
    path = folder / LIST
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), Twins)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {error}") from None


def c_digest(path: Path) -> str:
    """Of a C file without its comments, however it is set.  UsageError: it is not there."""
    return short_digest(" ".join(without_comments(_text(path)).split()))


def python_digest(path: Path) -> str:
    """Of a module without comments, docstrings and imports, however it is set, on every Python.

    UsageError: it is not there, or no Python.
    """
    try:
        tree = ast.parse(_text(path))
    except SyntaxError as error:
        raise UsageError(f"{path}:{error.lineno}: {error.msg}") from None
    return short_digest("\n".join(_words(tree)))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _words(node: ast.AST) -> Iterator[str]:
    """What a tree says.  What is empty is left out: newer Pythons know more fields."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return
    yield f"({type(node).__name__}"
    if isinstance(node, ast.JoinedStr):
        yield from _parts(node)
    elif isinstance(node, ast.Constant):
        yield repr(node.value)
    else:
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(node, _DOCUMENTED) and ast.get_docstring(node):
                value = value[1:]
            if value not in (None, []):
                yield name
                for one in value if isinstance(value, list) else [value]:
                    yield from _words(one) if isinstance(one, ast.AST) else [repr(one)]
    yield ")"


def _parts(node: ast.JoinedStr) -> Iterator[str]:
    """Of an f-string; Pythons cut the text between its values otherwise."""
    text = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
            continue
        yield repr(text)
        yield from _words(part)
        text = ""
    yield repr(text)


def changed(twin: Twin, folder: Path, package: Path) -> list[str]:
    """One line for each file of a twin that is not as it was, naming what to look at."""
    modules = [f"difffuzz/{name}" for name in twin.python]
    here = f"harness/native/machine/{twin.c}"
    after = f"then: {COMMAND} {twin.c}"
    found = []
    if c_digest(folder / twin.c) != twin.digest:
        found.append(f"{here} has changed: look at {', '.join(modules)}; {after}")
    for name, digest in twin.python.items():
        if python_digest(package / name) != digest:
            found.append(f"difffuzz/{name} has changed: look at {here}; {after}")
    return found


def renewed(twin: Twin, folder: Path, package: Path) -> Twin:
    """The twin with the digests of its files as they are."""
    modules = {name: python_digest(package / name) for name in twin.python}
    return Twin(twin.c, c_digest(folder / twin.c), modules, twin.lacks)


def render(twins: Twins) -> str:
    """The list as it is kept."""
    lines = [
        "# SPDX-License-Identifier: GPL-2.0-only",
        "# Which modules of difffuzz the C here restates; see difffuzz/native/twins.py.",
        "",
        "[alone]",
        *[f"{_quoted(name)} = {_quoted(why)}" for name, why in sorted(twins.alone.items())],
    ]
    for twin in sorted(twins.twin, key=lambda one: one.c):
        lines += ["", "[[twin]]", f"c = {_quoted(twin.c)}", f"digest = {_quoted(twin.digest)}"]
        lines += [f"lacks = {_quoted(twin.lacks)}"] if twin.lacks else []
        lines += [
            "[twin.python]",
            *[f"{_quoted(k)} = {_quoted(v)}" for k, v in twin.python.items()],
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def main(names: list[str], folder: Path = FOLDER, package: Path = PACKAGE) -> int:
    """Says what has changed, or renews the digests of the named files of C."""
    twins = read_twins(folder)
    unknown = set(names) - {twin.c for twin in twins.twin}
    if unknown:
        raise UsageError(f"{folder / LIST}: no twin {min(unknown)!r}")
    if names:
        twins.twin = [
            renewed(twin, folder, package) if twin.c in names else twin for twin in twins.twin
        ]
        write_atomic(folder / LIST, render(twins).encode())
    lines = [line for twin in twins.twin for line in changed(twin, folder, package)]
    print("\n".join(lines) or f"{len(twins.twin)} twins are as they were looked at")
    return 1 if lines else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UsageError as error:
        print(f"twins: {error}", file=sys.stderr)
        sys.exit(2)
