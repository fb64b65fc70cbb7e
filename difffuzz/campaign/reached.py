# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of a side's source were reached, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from ..sides.names import parse_name
from ..variants.engine import PREFIX, digest, patched
from .config import Lane

PLAIN: Final = "difffuzz"
KVM: Final = "kvm/"


class Reached(msgspec.Struct):
    """Of one file; lines are counted from 1, times are seconds since 1970."""

    tree: str
    """What the file is of: "model", the name of a patched side, "native:NAME"."""
    file: str
    """As patches or the kernel's tree spell it."""
    source: str
    """The text, "" where it is not known."""
    lines: dict[int, float]
    """When each was reached first; 0: not yet.  Lines that are not here have no branch or code."""


def model_lines(
    lane: Lane, first: Mapping[int, float], branches: Sequence[tuple[str, int]]
) -> list[Reached]:
    """The files of the models among the lane's sides.  `branches`: module and line, by number."""
    marks: dict[tuple[str, str], dict[int, float]] = {}
    for number, (module, line) in enumerate(branches):
        package, _, rest = module.partition(".")
        lines = marks.setdefault((package, rest.replace(".", "/")), {})
        at = first.get(number, 0.0)
        known = lines.get(line, 0.0)
        lines[line] = min(at, known) if at and known else at or known
    names = lane.left, lane.right
    if all(parse_name(name).patches or parse_name(name).build is not None for name in names):
        # The model without patches was loaded, and is no side.
        marks = {key: one for key, one in marks.items() if key[0] != PLAIN or KVM not in key[1]}
    return sorted(_files(marks, _sources(names)), key=lambda one: (one.tree, one.file))


def _files(
    marks: Mapping[tuple[str, str], dict[int, float]],
    sources: Mapping[str, tuple[str, dict[str, str]]],
) -> Iterable[Reached]:
    for (package, module), lines in marks.items():
        tree, texts = sources.get(package, ("model", {}))
        for file in (f"difffuzz/{module}.py", f"difffuzz/{module}/__init__.py"):
            text = texts.get(file) or _own_text(file)
            if text:
                yield Reached(tree, file, text, lines)
                break


def _sources(names: Iterable[str]) -> dict[str, tuple[str, dict[str, str]]]:
    """By the package that a side's modules are in: what it is called, and its files."""
    found = {}
    for name in names:
        parts = parse_name(name)
        if parts.build is None and parts.patches:
            texts = patched(parts.patches)
            short = name.partition("+")[2] or f"v{parts.kernel.removeprefix('v')}"
            found[f"{PREFIX}{digest(texts)}"] = (short, texts)
    return found


def _own_text(file: str) -> str:
    """Of a module of difffuzz as it is installed."""
    spec = find_spec("difffuzz")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parents[1] / file
    return path.read_text(encoding="utf-8") if path.is_file() else ""
