# SPDX-License-Identifier: GPL-2.0-only
"""What is exported: a program with all that is known of what it shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ..program import Program, is_concurrent

DEFAULT_NAME = "reproducer"
MAX_NAME = 40


class Reproducer(NamedTuple):
    """A program, its notes, and the sides on which it is to run.

    The sides are names only: nothing here opens one.
    """

    name: str
    """Letters, digits and `_`: what files and functions are called after."""
    program: Program
    notes: dict[str, str]
    left: str
    right: str
    mode: str

    @property
    def concurrent(self) -> bool:
        """True if its threads race, so that no order of operations is the only one."""
        return self.mode == "concurrent" or (
            self.mode == "portfolio" and is_concurrent(self.program)
        )

    @property
    def oracle(self) -> str:
        """The oracle that reports it, "" if the notes do not say."""
        return self.notes.get("oracle") or self.notes.get("signature", "").partition(":")[0]

    @property
    def title(self) -> str:
        """One line: what it shows."""
        shown = self.notes.get("detail") or self.notes.get("subject")
        return shown or self.notes.get("signature") or f"program {self.name.replace('_', ' ')}"


def name_of(path: Path) -> str:
    """A name that a C or Python file may have, from a file's name."""
    stem = "_".join(re.findall(r"[a-z0-9]+", path.stem.lower()))
    if not stem:
        return DEFAULT_NAME
    return (stem if stem[0].isalpha() else f"p_{stem}")[:MAX_NAME]
