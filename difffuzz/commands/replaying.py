# SPDX-License-Identifier: GPL-2.0-only
"""Runs programs from files, each for itself: a bad file has its line and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..oracle.verdict import Divergence, broken_alike
from ..program import ProgramError
from ..running.runner import Runner
from ..running.watchdog import HANG_SECONDS
from ..sides import open_side, short_name
from .loaded import Choice, expand, load_program


class Replay(NamedTuple):
    """What came of one file."""

    path: Path
    left: str = ""
    right: str = ""
    mode: str = ""
    found: tuple[Divergence, ...] = ()
    changed: tuple[str, ...] = ()
    """Sides that are not what they were when the program's notes were written."""
    error: str = ""
    """Why it was not run."""
    unfit: bool = False
    """That is: one of the sides has no programs of this configuration."""

    @property
    def verdict(self) -> str:
        """same, divergence or error."""
        return "error" if self.error else "divergence" if self.found else "same"

    @property
    def alike(self) -> bool:
        """True if both sides broke the same properties: a finding, but no difference."""
        return broken_alike(self.found, short_name(self.left), short_name(self.right))

    def document(self) -> dict[str, object]:
        """For --json."""
        return {
            "program": str(self.path),
            "verdict": self.verdict,
            "left": self.left,
            "right": self.right,
            "mode": self.mode,
            "divergences": [one._asdict() for one in self.found],
            "alike": self.alike,
            "changed": list(self.changed),
            **({"error": self.error} if self.error else {}),
        }

    def lines(self) -> list[str]:
        """For people; what is wrong with the file, if it was not run."""
        if self.error:
            return [self.error if str(self.path) in self.error else f"{self.path}: {self.error}"]
        return [
            f"{self.path}: {self.verdict} ({self.left} against {self.right})",
            *(f"  {one}" for one in self.changed),
            *(f"  {one.signature}: {one.detail}" for one in self.found),
            *(["  both sides break this alike: no difference between them"] if self.alike else []),
        ]


def replay_each(
    paths: Iterable[Path], choice: Choice, seconds: Callable[[], float] = lambda: HANG_SECONDS
) -> Iterator[Replay]:
    """Runs each program on the sides that the user chose, or its own.

    One that takes more seconds on a CPU, asked for before it is run, is said not to end.
    UsageError for a side of the user's that cannot be.
    """
    for side in (choice.left, choice.right):
        if side is not None:
            open_side(side)  # what the user got wrong is said once
    runners: dict[tuple[str, ...], Runner] = {}
    for path in paths:
        try:
            for one in expand([path]):
                yield _replay(one, choice, runners, seconds)
        except UsageError as error:
            yield Replay(path, error=str(error))


def _replay(
    path: Path,
    choice: Choice,
    runners: dict[tuple[str, ...], Runner],
    seconds: Callable[[], float],
) -> Replay:
    try:
        loaded = load_program(path, choice.as_bytes)
        sides = loaded.sides(choice)
        key = *sides, loaded.mode(choice)
        if key not in runners:
            runners[key] = Runner(*key)
        run = runners[key]
        changed = tuple(loaded.changed(sides))
    except (UsageError, ProgramError) as error:
        return Replay(path, error=str(error))
    run.watchdog.seconds = seconds()
    try:
        return Replay(path, *key, tuple(run(loaded.program).divergences), changed)
    except UsageError as error:
        return Replay(path, *key, error=str(error), unfit=True)


def status_of(replays: Iterable[Replay]) -> int:
    """2 if a file could not be run, else 1 if a program diverges, else 0."""
    verdicts = {one.verdict for one in replays}
    return 2 if "error" in verdicts else 1 if "divergence" in verdicts else 0
