# SPDX-License-Identifier: GPL-2.0-only
"""Findings on disk: one text program per signature, complete at every moment."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from ..files.atomic import write_atomically
from ..files.notes import text_of
from ..program import Program

SUFFIX = ".difffuzz"
_SLUG_CHARS = 80


class Finding(msgspec.Struct, frozen=True):
    """A divergence with its program: `program` is the path of the text form."""

    signature: str
    oracle: str
    program: str
    detail: str = ""
    seconds: float = 0.0
    """When it was found, from the start of the run."""
    executions: int = 0
    """After how many executions of its worker."""
    cpu_seconds: float = 0.0
    """After how much of its worker's time on a CPU."""


def slug(signature: str) -> str:
    """A file name for a signature: readable, and another one for every other signature."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", signature).strip("-.")[:_SLUG_CHARS]
    return f"{name}-{hashlib.sha256(signature.encode()).hexdigest()[:8]}"


class FindingStore:
    """The findings of one run, shared by its workers: the first to claim a signature writes it."""

    def __init__(self, directory: Path, claims: Path, sides: dict[str, str]) -> None:
        self.directory = directory
        self._claims = claims
        self._sides = sides
        self._known: set[str] = set()

    def add(self, program: Program, signature: str, oracle: str, detail: str) -> Path | None:
        """Write the program; None if the run has this signature already."""
        if signature in self._known:
            return None
        self._known.add(signature)
        name = slug(signature)
        self._claims.mkdir(parents=True, exist_ok=True)
        try:
            (self._claims / name).touch(exist_ok=False)
        except FileExistsError:
            return None
        path = self.directory / f"{name}{SUFFIX}"
        notes = {"signature": signature, "oracle": oracle, **self._sides, "detail": detail}
        write_atomically(path, text_of(program, notes).encode())
        return path
