# SPDX-License-Identifier: GPL-2.0-only
"""`python -m difffuzz.fuzz.cover LEFT RIGHT MODE`: what programs reach, one line of JSON for each.

A process of its own, because the model has to be marked as it is imported.  The first line is the
list of all branches: module and line.  Names of files come on standard input, one a line.  The
answer is a list: the file, and the numbers of the branches taken and of the states reached (those
behind all branches), or nothing for one that cannot be run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..errors import UsageError
from ..files.program_file import read_program
from ..program import ProgramError
from ..running.orphan import end_with_parent
from . import instrument
from .branches import MAX_BRANCHES


def main(left: str, right: str, mode: str) -> None:
    """Answers until standard input ends."""
    end_with_parent()
    branches = instrument.install()
    from ..running.policy import FUZZ_STEPS
    from ..running.runner import Runner

    run = Runner(left, right, mode, FUZZ_STEPS)
    print(json.dumps(branches.known), flush=True)
    for line in sys.stdin:
        name = line.rstrip("\n")
        branches.clear()
        try:
            verdict = run(read_program(Path(name)))
            reached = [*branches.taken, *(MAX_BRANCHES + one for one in verdict.features)]
        except (UsageError, ProgramError):
            reached = []
        print(json.dumps([name, sorted(reached)]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
