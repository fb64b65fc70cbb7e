# SPDX-License-Identifier: GPL-2.0-only
"""Findings on disk: one text program per signature, complete at every moment."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

import msgspec

from ..files.atomic import write_atomically
from ..files.notes import digest_key, notes_of, text_of
from ..program import Program

SUFFIX = ".difffuzz"
FINDINGS = "findings"
EMBARGOED = "embargoed"
"""Folders of OUT: programs of findings, and those that nobody is to see yet."""
PENDING = ".pending-"
"""How the name of a program begins that is written and not claimed yet."""
_SLUG_CHARS = 80


class Finding(msgspec.Struct, frozen=True):
    """A divergence with its program: `program` is the path of the text form."""

    signature: str
    """What makes it one finding, however often it is met."""
    oracle: str
    """Which objected."""
    program: str
    """The path of its file."""
    detail: str = ""
    """What was seen, in a line."""
    seconds: float = 0.0
    """When it was found, from the start of the run."""
    executions: int = 0
    """After how many executions of its worker."""
    cpu_seconds: float = 0.0
    """After how much of its worker's time on a CPU."""


def rescue_folder(pid: int) -> Path:
    """Where that process puts findings for which its own folder has no room."""
    return Path(tempfile.gettempdir()) / f"difffuzz-unwritten-{pid}"


def slug(signature: str) -> str:
    """A file name for a signature: readable, and another one for every other signature."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", signature).strip("-.")[:_SLUG_CHARS]
    return f"{name}-{hashlib.sha256(signature.encode()).hexdigest()[:8]}"


class FindingStore:
    """The findings of one run, shared by its workers: the first to claim a signature has it.

    A program is on disk before it is claimed, so that a process that dies in between loses nothing;
    the claim is a link to it.  A finding of an earlier run, of the same sides, stays as it is: it
    was shrunk since.
    """

    def __init__(self, directory: Path, claims: Path, sides: dict[str, str]) -> None:
        self.directory = directory
        self._claims = claims
        self._sides = sides
        self._known: set[str] = set()

    def add(self, program: Program, signature: str, oracle: str, detail: str) -> Path | None:
        """Write the program; None if the run has this signature already, or it is embargoed.

        OSError: it could not be written; nothing is claimed, and it may be tried again.
        """
        if signature in self._known:
            return None
        notes = {"signature": signature, "oracle": oracle, **self._sides, "detail": detail}
        path = self._path(slug(signature), notes)
        if (self.directory.parent / EMBARGOED / path.name).exists():
            return None
        self._claims.mkdir(parents=True, exist_ok=True)
        claim = self._claims / path.name
        if path.exists():
            mine = _linked(path, claim)
        else:
            written = self.directory / f"{PENDING}{os.getpid()}-{path.name}"
            write_atomically(written, text_of(program, notes).encode())
            mine = _linked(written, claim)
            if mine:
                os.replace(written, path)
            else:
                written.unlink()
        self._known.add(signature)
        return path if mine else None

    def _path(self, name: str, notes: dict[str, str]) -> Path:
        """Where the finding goes: beside one of the same signature that other sides showed."""
        path = self.directory / f"{name}{SUFFIX}"
        try:
            known = notes_of(path.read_text(errors="replace"))
        except FileNotFoundError:
            return path
        keys = [digest_key("left"), digest_key("right")]
        if all(known.get(key) == notes.get(key) for key in keys):
            return path
        other = "".join(notes.get(key, "")[:4] for key in keys)
        return self.directory / f"{name}-{other}{SUFFIX}"


def recover(directory: Path, claims: Path) -> int:
    """Gives findings their name whose process died before it did; how many.

    No worker may run meanwhile.
    """
    found = 0
    for claim in claims.glob(f"*{SUFFIX}"):
        path = directory / claim.name
        if not path.exists():
            os.link(claim, path)
            found += 1
    for written in directory.glob(f"{PENDING}*{SUFFIX}"):
        path = directory / written.name.removeprefix(PENDING).partition("-")[2]
        found += not path.exists()
        if path.exists():
            written.unlink()
        else:
            written.rename(path)
    return found


def _linked(file: Path, claim: Path) -> bool:
    try:
        os.link(file, claim)
    except FileExistsError:
        return False
    return True
