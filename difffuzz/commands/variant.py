# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz variant check`: does a patch apply to the model?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..variants import load
from ..variants.unified_diff import parse
from .output import Json, emit

app = typer.Typer(help="Work on patches against the model.")


@app.callback()
def variant() -> None:
    """Work on patches against the model."""


@app.command()
def check(
    patches: Annotated[list[Path], typer.Argument(help="Patches, applied together in order.")],
    json: Json = False,
) -> None:
    """Apply patches to the model in memory and import the result. Exit status 2: it fails."""
    package = load(patches)
    files = [
        {"patch": str(patch), "file": diff.path, "hunks": len(diff.hunks)}
        for patch in patches
        for diff in parse(patch.read_text(), str(patch))
    ]
    lines = [f"{one['patch']}: {one['file']}: {one['hunks']} hunks apply" for one in files]
    document = {"applies": True, "package": package.__name__, "files": files}
    emit(document, "\n".join(lines), json)
