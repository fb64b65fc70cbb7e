# SPDX-License-Identifier: GPL-2.0-only
"""The findings of a campaign: taken into the store, told apart, compared with what is known."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import UsageError
from ..files.atomic import write_atomically
from ..fuzz.findings import FINDINGS, SUFFIX
from ..program import ProgramError
from ..triage.baseline import Baseline, read_baseline
from ..triage.record import CLOSED, Event, Record, State
from ..triage.store import FILE, DamagedStore, Store, now
from ..triage.transfer import export_lines, import_lines
from .database import set_aside

BACKUP: Final = "findings.jsonl"
"""The store once more, as lines: states and notes are nowhere else."""


class Finds:
    """The store of a campaign's folder while it runs."""

    def __init__(self, folder: Path, baseline: str) -> None:
        """UsageError: the baseline cannot be read, or the store is another program's."""
        self._folder = folder
        known = read_baseline(folder / baseline) if baseline else ()
        self._baseline = Baseline(known)
        self._files: set[tuple[str, float]] = set()
        self.said = self._open()
        """What was wrong with the store, in a line; empty if nothing."""
        self.records: list[Record] = []
        self.look()

    def look(self) -> list[Record]:
        """Takes over what workers and the minimiser wrote; findings that nobody has seen before."""
        files = _files(self._folder)
        if files == self._files:
            return []
        before = {record.id for record in self.records}
        self._store.take_over()
        self.records = self._store.all()
        fresh = [record for record in self.records if record.id not in before]
        for record in fresh:
            with suppress(ProgramError):
                self._explain(record)
        write_atomically(
            self._folder / BACKUP, "".join(export_lines(self.records)).encode(), durable=False
        )
        self._files = files
        return fresh

    def refresh(self) -> None:
        """Others have changed the store: a person, or a re-test."""
        self.records = self._store.all()

    def bugs(self) -> int:
        """Findings that are open: neither known nor closed, nor other sights of the same one."""
        closed = {State.KNOWN, *CLOSED}
        told = [one for one in self.records if one.state not in closed]
        return len({one.bug for one in told})

    def close(self) -> None:
        """The store is whole at every moment."""
        self._store.__exit__(None, None, None)

    def _explain(self, record: Record) -> None:
        if record.state is State.NEW and self._baseline.explains(record.signature, record.parsed()):
            record.state = State.KNOWN
            self._store.put(record, Event(now(), "state", "known: the baseline explains it"))

    def _open(self) -> str:
        """Opens the store; a damaged one is made again from its backup and the findings' files."""
        try:
            self._store = Store(self._folder)
            self._store.check()
            return ""
        except DamagedStore as error:
            aside = set_aside(self._folder / FILE)
            self._store = Store(self._folder)
            merged = 0
            with suppress(UsageError):
                merged = self._store.merge(import_lines(self._folder / BACKUP)[0])
            return f"{error}: set aside as {aside.name}, {merged} findings came back from {BACKUP}"


def _files(folder: Path) -> set[tuple[str, float]]:
    """The program files of findings, as they are now."""
    found = set()
    for path in (folder / FINDINGS).glob(f"*{SUFFIX}"):
        with suppress(OSError):
            found.add((path.name, path.stat().st_mtime))
    return found
