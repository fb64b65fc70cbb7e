# SPDX-License-Identifier: GPL-2.0-only
"""Corpus files: read a directory of programs, in text or bytes, into what libFuzzer reads."""

from __future__ import annotations

import hashlib
import random
import re
from itertools import islice
from pathlib import Path

from ..files.collection import program_files
from ..files.program_file import read_program
from ..program import encode
from ..program.generate_guest import at_once, generate_guest
from ..program.model import GUESTS
from .stream import GENERATED_SEEDS, first_of, stream


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

    The generated ones are the first of the seed's stream: concurrent ones, for a portfolio half of
    them, and others.
    In the mode "guests" they have guests with page tables, and some threads at once; other modes
    leave such programs out.
    Returns how many programs were written.
    """
    destination.mkdir(parents=True, exist_ok=True)
    programs = [
        new.program
        for concurrent, count in first_of(mode, generated).items()
        for new in islice(stream(seed, pagings, concurrent=concurrent), count)
    ]
    if mode == "guests":
        rng = random.Random(seed)
        kinds = GUESTS[1:]
        programs = [generate_guest(rng, kinds[n % len(kinds)]) for n in range(generated)]
        # Every fourth with threads at once, of each kind.
        programs = [at_once(rng, one) if n % 4 > 2 else one for n, one in enumerate(programs)]
    if directory is not None:
        given = map(read_program, program_files(directory))
        programs += [one for one in given if mode == "guests" or one.config.guest == "none"]
    for program in programs:
        data = encode(program)
        (destination / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    return len(programs)
