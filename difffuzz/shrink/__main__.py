# SPDX-License-Identifier: GPL-2.0-only
"""`python -m difffuzz.shrink FILE ...`: rewrites a finding's file when its program got smaller."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..files.atomic import write_atomically
from ..files.notes import notes_of, text_of
from ..files.program_file import read_with_text
from ..running.runner import Runner
from .finding import shrink


def main(arguments: list[str]) -> None:
    """Rewrite the file atomically; its notes stay."""
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
    smallest = shrink(run, program, options.signature, options.seconds).program
    if smallest != program:
        notes = notes_of(text)
        notes["shrunk"] = f"from {len(program.ops)} operations to {len(smallest.ops)}"
        found = run(smallest).divergences
        notes["detail"] = found[0].detail if found else ""
        write_atomically(options.file, text_of(smallest, notes).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
