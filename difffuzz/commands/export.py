# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz export`: a program in a form that others work with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..export.c_form import as_c
from ..export.cannot import remarks
from ..export.json_form import as_json
from ..export.pytest_form import as_pytest
from ..export.reproducer import Reproducer, name_of
from ..export.selftest import as_selftest
from ..export.text import as_text
from ..files.printable import json_text, printable
from ..running.runner import MODES
from ..sides.names import portable_name
from .loaded import Choice, Loaded, load_program
from .output import emit, write_text
from .programs import AsBytes, OwnLeft, OwnMode, OwnRight, Trust
from .progress import note

FORMS = ("text", "json", "pytest", "c", "selftest")


def export(
    file: Annotated[Path, typer.Argument(help="A program; - for standard input.")],
    form: Annotated[str, typer.Option("--to", help=f"{', '.join(FORMS)}.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where it goes; default: stdout.")
    ] = None,
    tree: Annotated[
        Path | None, typer.Option("--tree", help="The kernel tree that a selftest is for.")
    ] = None,
    left: OwnLeft = None,
    right: OwnRight = None,
    mode: OwnMode = None,
    trust: Trust = False,
    as_bytes: AsBytes = False,
) -> None:
    """Write a program as text, JSON, a pytest file, a C file, or a patch with a KVM selftest.

    Nothing is run.  What C cannot do is said on stderr, and in the file.
    """
    if form not in FORMS:
        raise UsageError(f"--to {form}: expected one of {', '.join(FORMS)}")
    if (form == "selftest") != (tree is not None):
        raise UsageError("--to selftest needs --tree DIR, and no other form does")
    loaded = load_program(file, as_bytes)
    one = _reproducer(loaded, Choice(left, right, mode, trust), runs=form == "pytest")
    text = printable(_formed(one, form, tree))
    if form in ("c", "selftest"):
        for line in remarks(one):
            note(f"{file}: {line}")
    if output is None:
        emit(None, text, json=False)
    else:
        write_text(output, text)
        note(f"{output}: written")


def _reproducer(loaded: Loaded, choice: Choice, runs: bool) -> Reproducer:
    """`runs`: what comes of it runs the sides, so that the notes alone may not name them all."""
    mode = loaded.mode(choice)
    if mode not in MODES:
        raise UsageError(f"{loaded.path}: mode {mode!r} is not one of {', '.join(MODES)}")
    if not runs:  # a name in a comment runs nothing
        notes = loaded.notes
        choice = choice._replace(
            left=choice.left or notes.get("left"), right=choice.right or notes.get("right")
        )
    left, right = [portable_name(side) for side in loaded.sides(choice)]
    return Reproducer(name_of(loaded.path), loaded.program, loaded.notes, left, right, mode)


def _formed(one: Reproducer, form: str, tree: Path | None) -> str:
    if form == "text":
        return as_text(one)
    if form == "json":
        return json_text(as_json(one))
    if form == "c":
        return as_c(one)
    return as_pytest(one) if tree is None else as_selftest(one, tree)
