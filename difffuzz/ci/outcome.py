# SPDX-License-Identifier: GPL-2.0-only
"""What came of a smoke test: a case for each program that is replayed, and one for the fuzzer."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

FUZZ = "fuzz"
"""Name and group of the fuzzer's case."""


class Shown(NamedTuple):
    """A divergence that a program shows."""

    signature: str
    oracle: str
    detail: str
    program: str
    """The path of its file, as a user of the working folder names it."""
    text: str
    """The text form, as the file has it."""
    left: str
    right: str
    mode: str
    line: int | None = None
    """The line of the operation after which it shows; None: at the end, or nobody knows."""
    known: bool = False
    """A baseline explains it."""

    @property
    def replay(self) -> str:
        """The command that shows it again."""
        sides = ["--left", self.left, "--right", self.right, "--mode", self.mode]
        return shlex.join(["difffuzz", "replay", self.program, *sides])


@dataclass(slots=True)
class Case:
    """One thing that was tried.  Without any of the last four it went well."""

    name: str
    group: str
    """The folder of the program, or FUZZ."""
    path: str = ""
    """Of the program, as a user of the working folder names it."""
    seconds: float = 0.0
    shown: list[Shown] = field(default_factory=list)
    error: str = ""
    """Why it could not be tried."""
    skipped: str = ""
    """Why it was not."""
    unfit: str = ""
    """Why it is not meant to be."""


@dataclass(slots=True)
class Outcome:
    """All of it.  Until `over` is set, the test has not come to its end."""

    left: str
    right: str
    seed: int
    baseline: bool
    """What is known was told apart from what is new."""
    cases: list[Case] = field(default_factory=list)
    over: bool = False
    interrupted: bool = False
    seconds: float = 0.0

    def shown(self, known: bool) -> Iterator[Shown]:
        """Those that are known, or those that are not."""
        return (one for case in self.cases for one in case.shown if one.known == known)

    def errors(self) -> list[str]:
        """A line for each case that could not be tried."""
        return [one.error for one in self.cases if one.error]

    @property
    def whole(self) -> bool:
        """Everything was tried."""
        return self.over and not any(one.error or one.skipped for one in self.cases)
