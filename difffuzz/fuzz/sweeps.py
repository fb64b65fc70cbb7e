# SPDX-License-Identifier: GPL-2.0-only
"""Which programs are swept (running/sweep.py), and which were: a file of notes beside a corpus.

A program was swept of a left and a right side as they are built today: another tree has them swept
again.  What is interrupted is not noted.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..errors import UsageError
from ..files.collection import program_files
from ..files.program_file import read_program
from ..program import Program, ProgramError, encode

if TYPE_CHECKING:  # the runner loads the model, which has to wait for the instrumentation
    from ..oracle.verdict import Verdict
    from ..running.runner import Runner
    from ..running.sweep import Swept

NOTES = "swept.jsonl"
"""What was swept, a line each, in the folder above a fuzzer's corpus."""


class Note(msgspec.Struct, frozen=True):
    """A program that was swept to its end."""

    name: str
    """Digest of the two sides and the program, without its schedule."""
    schedules: int
    """Runs of both sides."""
    signatures: list[str] = []
    """What they showed."""


class SweepNotes:
    """The notes of one pair of sides; others may add to the file at any time."""

    def __init__(self, path: Path, left: str, right: str) -> None:
        """`left`, `right`: what the sides are made of (identity())."""
        self._path = path
        self._made_of = f"{left} {right} ".encode()

    def name(self, program: Program) -> str:
        """What the program is called in the notes."""
        content = encode(program._replace(schedule=()))
        return hashlib.sha256(self._made_of + content).hexdigest()[:32]

    def read(self) -> set[str]:
        """The names of what was swept.  A line that is not whole is passed over."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return set()
        names = set()
        for line in lines:
            try:
                names.add(msgspec.json.decode(line, type=Note).name)
            except msgspec.DecodeError:
                continue
        return names

    def add(self, note: Note) -> None:
        """One line, written at once.  OSError."""
        line = msgspec.json.encode(note) + b"\n"
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(file, line)
        finally:
            os.close(file)


def programs_of(folders: Iterable[Path]) -> list[Program]:
    """Each program of the folders once, whatever its schedule."""
    found: dict[bytes, Program] = {}
    for folder in folders:
        for path in program_files(folder):
            try:
                program = read_program(path)._replace(schedule=())
            except (UsageError, ProgramError):  # `fuzz` has said so, or it is being written
                continue
            found[encode(program)] = program
    return [found[content] for content in sorted(found)]


class Claims:
    """Who sweeps what, of the workers of one run: each name is given once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, name: str) -> bool:
        """True for the first who asks.  OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(self._folder / f"sweep-{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def give_back(self, name: str) -> None:
        """Another may take it: it was not swept to its end."""
        (self._folder / f"sweep-{name}").unlink(missing_ok=True)


class Sweeper:
    """Sweeps one program after the other, as one worker of a run: those of the folders before what
    runs, and of each those with few races first."""

    def __init__(
        self, run: Runner, notes: SweepNotes, claims: Claims, folders: Iterable[Path]
    ) -> None:
        self._run = run
        self._notes = notes
        self._claims = claims
        self._known = notes.read()
        self._met: set[tuple[int, int]] = set()
        self._queue: list[tuple[bool, int, str, Program]] = []
        for program in programs_of(folders):
            self.add(program)

    @property
    def left(self) -> int:
        """Programs that are yet to be swept, by this worker or another."""
        return len(self._queue)

    def add(self, program: Program, ran: bool = False) -> None:
        """It is to be swept, if it has races, and nobody has done it or is to do it anyway."""
        cost = self._run.sweep_cost(program)
        if not cost:
            return
        name = self._notes.name(program)
        if name not in self._known:
            self._known.add(name)
            heapq.heappush(self._queue, (ran, cost, name, program))

    def ran(self, program: Program, verdict: Verdict) -> None:
        """One was run: it is to be swept, too, if its threads met in a way that is new."""
        if not verdict.conflicts <= self._met:
            self._met |= verdict.conflicts
            if not verdict.divergences:
                self.add(program, ran=True)

    def next(self, stop: Callable[[], bool]) -> tuple[Program, Swept] | None:
        """What came of the next one; None if there is none.  What is stopped stays.  OSError.

        Keep what was found, then call done(): it is not swept again after that.
        """
        while self._queue:
            entry = heapq.heappop(self._queue)
            _, _, name, program = entry
            if not self._claims.take(name):
                continue
            swept = self._run.sweep(program, stop)
            if not swept.complete:
                self._claims.give_back(name)
                heapq.heappush(self._queue, entry)
            return program, swept
        return None

    def done(self, program: Program, swept: Swept) -> None:
        """Notes it, if it was swept to its end.  OSError."""
        if swept.complete:
            signatures = [one.divergence.signature for one in swept.shown]
            self._notes.add(Note(self._notes.name(program), swept.schedules, signatures))
