# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz corpus show`: what a corpus holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from ..files.collection import some_program_files
from ..files.program_file import read_program
from ..program import OPS, render
from .output import Json, emit

app = typer.Typer(help="Look at programs that were collected.")


@app.callback()
def corpus() -> None:
    """Look at programs that were collected."""


@app.command()
def show(
    paths: Annotated[list[Path], typer.Argument(help="Files, shown as text, or directories.")],
    json: Json = False,
) -> None:
    """Show one program as text, or the figures of a directory."""
    documents = []
    texts = []
    for path in paths:
        if path.is_dir():
            document, text = _directory(path)
        else:
            program = render(read_program(path))
            document, text = {"program": str(path), "text": program}, program
        documents.append(document)
        texts.append(text)
    emit(documents, "\n".join(texts), json)


def _directory(path: Path) -> tuple[dict[str, object], str]:
    programs = 0
    kinds: Counter[str] = Counter()
    lengths: list[int] = []
    for file in some_program_files(path):
        program = read_program(file)
        programs += 1
        lengths.append(len(program.ops))
        kinds.update(OPS[op.kind].name for op in program.ops)
    document: dict[str, object] = {
        "directory": str(path),
        "programs": programs,
        "operations": sum(lengths),
        "longest": max(lengths, default=0),
        "kinds": dict(kinds.most_common()),
    }
    lines = [f"{path}: {programs} programs, {sum(lengths)} operations"]
    lines += [f"  {count:8} {name}" for name, count in kinds.most_common()]
    return document, "\n".join(lines)
