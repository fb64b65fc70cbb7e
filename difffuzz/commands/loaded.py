# SPDX-License-Identifier: GPL-2.0-only
"""A program that was read, and the sides it is run on: those of the user, else those of its notes.

Notes may name sides that came with difffuzz.  What else they name is code, a patch or a library,
and is run only if the user names it too, or trusts the notes and their digests fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..files.collection import some_program_files
from ..files.notes import digest_key, notes_of
from ..files.program_file import read_with_text
from ..program import Program
from ..running.runner import Runner
from ..sides.identity import identity
from ..sides.names import parse_name
from .progress import note


class Choice(NamedTuple):
    """What the user says of sides and files."""

    left: str | None = None
    right: str | None = None
    mode: str | None = None
    trust: bool = False
    as_bytes: bool = False


class Loaded(NamedTuple):
    """A program from a file, with the notes in its comments."""

    path: Path
    program: Program
    notes: dict[str, str]

    def sides(self, choice: Choice) -> tuple[str, str]:
        """The sides that the user names, else those of the notes, else the usual two.

        UsageError: the notes name something that the user has to name.
        """
        return self._side("left", choice.left, choice), self._side("right", choice.right, choice)

    def _side(self, which: str, named: str | None, choice: Choice) -> str:
        if named is not None:
            return named
        noted = self.notes.get(which)
        if noted is None:
            if self.program.config.guest != "none":  # the models have no such guests
                return f"native:{'legacy' if which == 'left' else 'tdp'}"
            # The TDP MMU has no nonpaging guests.
            usual = "tdp" if self.program.config.paging == "tdp" else "spec"
            return "legacy" if which == "left" else usual
        try:
            foreign = parse_name(noted).foreign
        except UsageError as error:
            raise UsageError(f"{self.path}: its notes: {error}") from error
        if foreign:
            self._check_trust(which, noted, choice)
        return noted

    def _check_trust(self, which: str, noted: str, choice: Choice) -> None:
        """UsageError unless the user trusts the notes, and what they name is what was meant."""
        if not choice.trust:
            raise UsageError(
                f"{self.path}: its notes name the side {noted!r}, which is code that did not come "
                f"with difffuzz: name it with --{which}, or give --trust-notes"
            )
        was, now = self.notes.get(digest_key(which), ""), identity(noted)
        if was != now:
            meant = f"of digest {was}" if was else "of no digest"
            raise UsageError(
                f"{self.path}: its notes name the side {noted!r} {meant}, here it is {now}: "
                f"name it with --{which}"
            )
        note(f"{self.path}: runs {which} side {noted!r} ({now}) as its notes say")

    def changed(self, sides: tuple[str, str]) -> list[str]:
        """A line for each side of that name whose content is not what it was when noted."""
        lines = []
        for which, name in zip(("left", "right"), sides, strict=True):
            was = self.notes.get(digest_key(which))
            if was and self.notes.get(which) == name and (now := identity(name)) != was:
                lines.append(f"{which} side {name!r} was {was} when this was found, it is {now}")
        return lines

    def mode(self, choice: Choice) -> str:
        """How it is run."""
        return choice.mode or self.notes.get("mode", "portfolio")

    def runner(self, choice: Choice) -> Runner:
        """Runs the program as the user says, else as the notes say."""
        return Runner(*self.sides(choice), self.mode(choice))


def load_program(path: Path, as_bytes: bool = False) -> Loaded:
    """Read a program and its notes.  UsageError or ProgramError with the place."""
    program, text = read_with_text(path, as_bytes=as_bytes)
    return Loaded(path, program, notes_of(text))


def expand(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, and those of the directories among them.  UsageError for one without programs."""
    for path in paths:
        if path.is_dir():
            yield from some_program_files(path)
        else:
            yield path
