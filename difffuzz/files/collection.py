# SPDX-License-Identifier: GPL-2.0-only
"""The programs of a directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ..errors import UsageError

MAX_FILES = 1_000_000


def program_files(directory: Path) -> list[Path]:
    """The corpus files below a directory, in order; hidden and Markdown files are none.

    UsageError, with its name: a folder cannot be read, or there are too many files.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory}: expected a directory of programs")
    found = list(islice(_below(directory), MAX_FILES + 1))
    if len(found) > MAX_FILES:
        raise UsageError(f"{directory}: more than {MAX_FILES} files")
    return sorted(found)


def some_program_files(directory: Path) -> list[Path]:
    """The same; UsageError if there is none, too."""
    found = program_files(directory)
    if not found:
        raise UsageError(f"{directory}: there is no program in this directory")
    return found


def _below(directory: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise UsageError(f"{error.filename}: {error.strerror}") from error

    for folder, _, names in os.walk(directory, onerror=unreadable):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not name.startswith(".") and path.suffix != ".md":
                yield path
