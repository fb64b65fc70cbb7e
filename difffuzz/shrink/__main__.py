# SPDX-License-Identifier: GPL-2.0-only
"""`python -m difffuzz.shrink FILE ...`: a finding's file gets what its program shrank to."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..files.atomic import write_atomically
from ..files.notes import notes_of, text_of
from ..files.program_file import read_with_text
from ..program import Program
from ..running.orphan import end_with_parent
from ..running.runner import Runner
from .finding import shrink


def main(arguments: list[str]) -> None:
    """Rewrite the file atomically, each time operations went; its notes stay."""
    end_with_parent()
    parser = argparse.ArgumentParser(prog="difffuzz.shrink", allow_abbrev=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("--left", required=True)
    parser.add_argument("--right", required=True)
    parser.add_argument("--mode", default="portfolio")
    parser.add_argument("--signature", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args(arguments)
    run = Runner(options.left, options.right, options.mode)
    program, text = read_with_text(options.file)
    notes = notes_of(text)
    least = len(program.ops)

    def keep(best: Program) -> bool:
        nonlocal least
        if len(best.ops) < least:
            least = len(best.ops)
            so_far = f"from {len(program.ops)} operations to {least} so far"
            write_atomically(options.file, text_of(best, {**notes, "shrunk": so_far}).encode())
        return False

    shrunk = shrink(run, program, options.signature, options.seconds, keep)
    notes["shrunk"] = shrunk.note(program, notes.get("shrunk", ""))
    if shrunk.program != program:
        notes["mode"] = shrunk.mode
        found = Runner(options.left, options.right, shrunk.mode)(shrunk.program).divergences
        notes["detail"] = found[0].detail if found else ""
    write_atomically(options.file, text_of(shrunk.program, notes).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
