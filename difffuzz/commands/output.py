# SPDX-License-Identifier: GPL-2.0-only
"""What a command shows in the end: one JSON document or text on stdout, or a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import unwritable
from ..files.atomic import write_atomically
from ..files.printable import json_text, printable
from .completing import complete_side
from .progress import note

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Left = Annotated[
    str,
    typer.Option(
        help="One side: legacy, tdp, spec, tdp+FILE.patch, ...", autocompletion=complete_side
    ),
]
Right = Annotated[str, typer.Option(help="The other side.", autocompletion=complete_side)]


def emit(document: object, text: str, json: bool) -> None:
    """Print the document as JSON if asked to, else the text."""
    text = json_text(document) if json else printable(text)
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")
    sys.stdout.flush()


def write_text(path: Path, text: str) -> None:
    """Write a file that the user named, whole or not at all; unwritable() where that cannot be."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """The same for what is no text."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise unwritable(path, error) from error


def prepare_corpus(path: Path | None) -> None:
    """Make a corpus that is not there, and say so; errors likewise."""
    if path is not None and not path.exists():
        prepare_directory(path)
        note(f"{path}: made, it has no programs to start from")


def prepare_directory(path: Path) -> None:
    """Make a directory for results before the work for them begins; errors likewise."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
