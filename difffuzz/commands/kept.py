# SPDX-License-Identifier: GPL-2.0-only
"""Programs that a command found, in a folder: on disk when found, and as they were if known."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType

from ..errors import unwritable
from ..files.notes import text_of
from ..fuzz.findings import EMBARGOED, SUFFIX, FindingStore, slug
from ..program import Program
from .output import prepare_directory
from .progress import note


class Kept:
    """As `fuzz` keeps findings: one file a signature; of the same sides, the first one stays."""

    def __init__(self, out: Path, sides: dict[str, str]) -> None:
        """`sides`: notes that name them, and their mode.  unwritable(): nothing can be written."""
        prepare_directory(out)
        try:
            self._claims = tempfile.TemporaryDirectory(prefix=".claims-", dir=out)
        except OSError as error:
            raise unwritable(out, error) from error
        self._store = FindingStore(out, Path(self._claims.name), sides)
        self.paths: dict[str, Path] = {}
        """By signature."""

    def __enter__(self) -> Kept:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._claims.cleanup()

    def where(self, signature: str) -> Path:
        """The file of what was added; a finding that nobody is to see yet stays where it is."""
        embargoed = self._store.directory.parent / EMBARGOED
        return self.paths.get(signature, embargoed / f"{slug(signature)}{SUFFIX}")

    def add(self, program: Program, signature: str, oracle: str, detail: str) -> None:
        """Writes the program, if it is the first with its signature."""
        try:
            path = self._store.add(program, signature, oracle, detail)
        except OSError as error:
            note(text_of(program, {"signature": signature, "detail": detail}))  # lost nowhere
            raise unwritable(self._store.directory, error) from error
        if path is not None:
            self.paths[signature] = path
