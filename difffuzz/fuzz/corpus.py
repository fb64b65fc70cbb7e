# SPDX-License-Identifier: GPL-2.0-only
"""Corpus files: read a directory of programs, in text or bytes, into what libFuzzer reads."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import UsageError
from ..program import Program, decode, encode, generate, parse
from ..program.limits import MAX_BYTES, MAX_TEXT
from .findings import SUFFIX

GENERATED_SEEDS = 128
"""A generated program finds more than a mutant of one of few seeds (docs/benchmark.md)."""
MAX_FILES = 1_000_000

TEXT_BEGIN = b"difffuzz program"


def read_program(path: Path) -> Program:
    """The program in a file: text if it is named *.difffuzz or begins like it, else bytes.

    UsageError if the file cannot be read; ProgramError (with file, line and column) if its text is
    no program.
    """
    limit = 4 * MAX_TEXT
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if path.suffix != SUFFIX and not data.startswith(TEXT_BEGIN):
            return decode(data[:MAX_BYTES])
        if len(data) > limit:
            raise UsageError(f"{path}: longer than {limit} bytes")
        return parse(data.decode(), str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start + 1}: expected UTF-8 text") from error


def program_files(directory: Path) -> Iterator[Path]:
    """The corpus files below a directory, in order; hidden and Markdown files are none."""
    if not directory.is_dir():
        raise UsageError(f"{directory}: expected a directory of programs")
    count = 0
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".md":
            count += 1
            if count > MAX_FILES:
                raise UsageError(f"{directory}: more than {MAX_FILES} files")
            yield path


def pagings_of(*sides: str) -> tuple[str, ...]:
    """The paging modes of guests that both sides can run: with the TDP MMU there is one only."""
    tdp = any(re.split("[+@]", side)[0].rpartition(":")[2] == "tdp" for side in sides)
    return ("tdp",) if tdp else ("tdp", "nonpaging")


def prepare(
    directory: Path | None,
    destination: Path,
    seed: int,
    pagings: tuple[str, ...] = ("tdp",),
    mode: str = "lockstep",
    generated: int = GENERATED_SEEDS,
) -> int:
    """Write every program of `directory` as bytes into `destination`, and some `generated` ones.

    The generated ones have the `pagings` in turn, and schedules (for a portfolio every other one).
    Returns how many programs were written.
    """
    destination.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    programs = [
        generate(
            rng,
            paging=pagings[number % len(pagings)],
            concurrent=mode == "concurrent" or (mode == "portfolio" and number % 4 > 1),
        )
        for number in range(generated)
    ]
    if directory is not None:
        programs += [read_program(path) for path in program_files(directory)]
    for program in programs:
        data = encode(program)
        (destination / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    return len(programs)
