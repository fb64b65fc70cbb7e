# SPDX-License-Identifier: GPL-2.0-only
"""Shrink the program in a file for one signature, rewriting it when it got smaller.

`python -m difffuzz.fuzz.shrink` does so for a fuzzing run; `difffuzz minimize` calls `shrink()`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..files.notes import notes_of, text_of
from ..files.program_file import read_with_text
from ..program import Program
from .findings import write_atomically
from .minimise import Minimiser
from .run import Runner
from .watchdog import HANG, HANG_SECONDS, HURRY_SECONDS


def shrink(run: Runner, program: Program, signature: str, seconds: float) -> Program:
    """The smallest program found in that time whose first divergence has this signature."""

    hang = signature.endswith(HANG)
    if hang:  # each try that still hangs costs this much
        run.watchdog.seconds = HURRY_SECONDS

    def shows_it(candidate: Program) -> bool:
        found = run(candidate).divergences
        return bool(found) and found[0].signature == signature

    smallest = Minimiser(shows_it, seconds).shrink(program)
    run.watchdog.seconds = HANG_SECONDS
    return smallest if not hang or shows_it(smallest) else program


def main(arguments: list[str]) -> None:
    """Rewrite the file atomically; its notes stay."""
    parser = argparse.ArgumentParser(prog="difffuzz.fuzz.shrink", allow_abbrev=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("--left", required=True)
    parser.add_argument("--right", required=True)
    parser.add_argument("--mode", default="portfolio")
    parser.add_argument("--signature", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args(arguments)
    run = Runner(options.left, options.right, options.mode)
    program, text = read_with_text(options.file)
    smallest = shrink(run, program, options.signature, options.seconds)
    if smallest != program:
        notes = notes_of(text)
        notes["shrunk"] = f"from {len(program.ops)} operations to {len(smallest.ops)}"
        found = run(smallest).divergences
        notes["detail"] = found[0].detail if found else ""
        write_atomically(options.file, text_of(smallest, notes).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
