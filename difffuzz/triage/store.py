# SPDX-License-Identifier: GPL-2.0-only
"""The store: one SQLite file beside the findings of a run, or of many.

The program files of a run are taken over each time the store is opened, so that whatever a process
wrote before it died is there.  Every change is one transaction; readers and one writer do not wait
for each other (WAL).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

from ..errors import MissingTool, UsageError
from ..files.notes import notes_of
from ..files.program_file import read_with_text
from ..files.read_sqlite import connect_reading
from ..fuzz.findings import FINDINGS, SUFFIX
from ..program import ProgramError
from .record import Event, Record, State, from_text, shape

FILE: Final = "findings.db"
_APPLICATION: Final = 0x64666675
"""Tells the file from another program's: "dffu"."""
VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE finding (
    id TEXT PRIMARY KEY, signature TEXT NOT NULL, oracle TEXT NOT NULL,
    "left" TEXT NOT NULL, "right" TEXT NOT NULL,
    left_digest TEXT NOT NULL, right_digest TEXT NOT NULL,
    mode TEXT NOT NULL, detail TEXT NOT NULL, program TEXT NOT NULL, state TEXT NOT NULL,
    first_seen TEXT NOT NULL, last_seen TEXT NOT NULL,
    shown INTEGER NOT NULL, runs INTEGER NOT NULL, bug TEXT NOT NULL
) STRICT;
CREATE TABLE event (
    finding TEXT NOT NULL REFERENCES finding, at TEXT NOT NULL, kind TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX event_of ON event (finding);
"""
_COLUMNS: Final = tuple(name for name in Record.__struct_fields__ if name != "history")
_NAMES: Final = ", ".join(f'"{name}"' for name in _COLUMNS)
_VALUES: Final = ", ".join(f":{name}" for name in _COLUMNS)
_PUT: Final = f"INSERT OR REPLACE INTO finding ({_NAMES}) VALUES ({_VALUES})"


def now() -> str:
    """The time, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class DamagedStore(UsageError):
    """The file is no database any more."""


class Store:
    """The findings of a folder, as `fuzz --out` has it."""

    def __init__(self, out: Path, *, reading: bool = False) -> None:
        """Opens or makes OUT/findings.db; `reading`: it is there and is not changed.

        UsageError: it is no store, or of a newer difffuzz; MissingTool: it cannot be written."""
        self.out = out
        self.path = out / FILE
        with self._errors():
            if reading:
                self._db = connect_reading(self.path)
            else:
                out.mkdir(parents=True, exist_ok=True)
                self._db = sqlite3.connect(self.path, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._prepare(reading)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def check(self) -> None:
        """DamagedStore: a page of the file is damaged."""
        with self._errors():
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(str(found).replace("\n", " "))

    def all(self) -> list[Record]:
        """Every finding, the first found first, with its history."""
        with self._errors():
            rows = self._db.execute("SELECT * FROM finding ORDER BY first_seen, id").fetchall()
            return [self._record(row) for row in rows]

    def get(self, start: str) -> Record:
        """The finding whose id begins so.  UsageError: none does, or several."""
        found = [one for one in self.all() if start and one.id.startswith(start)]
        if len(found) != 1:
            what = "no finding has an id" if not found else f"{len(found)} findings have ids"
            raise UsageError(f"{start}: {what} that begins so: see 'difffuzz findings list'")
        return found[0]

    def put(self, record: Record, *events: Event) -> None:
        """Writes a finding as it is now, and adds to its history.  All of it, or nothing."""
        with self._errors(), self._transaction():
            self._put(record, events)

    def take_over(self) -> int:
        """Takes in the program files of OUT/findings that are new or have changed; how many."""
        taken = 0
        for path in sorted((self.out / FINDINGS).glob(f"*{SUFFIX}")):
            try:
                text = read_with_text(path)[1]
                record = from_text(text, str(path), now())
            except (UsageError, ProgramError):
                continue  # whoever reads the file says what is wrong with it
            if record is not None:
                taken += self.take(record)
        return taken

    def take(self, record: Record) -> bool:
        """Takes in a finding; False if the store has it as it is."""
        with self._errors(), self._transaction():
            row = self._db.execute("SELECT * FROM finding WHERE id = ?", (record.id,)).fetchone()
            if row is None:
                record.bug = self._same_bug(record)
                same = f", the same bug as {record.bug}" if record.bug != record.id else ""
                self._put(record, [Event(record.first_seen, "found", record.detail + same)])
                return True
            old = self._record(row)
            if old.program == record.program or old.state is State.EMBARGOED:
                return False
            old.last_seen = record.first_seen
            before, after = len(old.parsed().ops), len(record.parsed().ops)
            told = notes_of(record.program).get("shrunk")
            text = told or f"from {before} operations to {after}"
            old.program, old.detail, old.mode = record.program, record.detail, record.mode
            old.left_digest, old.right_digest = record.left_digest, record.right_digest
            old.shown = old.runs = 1
            old.bug = self._same_bug(old)
            self._put(old, [Event(record.first_seen, "shrunk", text)])
            return True

    def merge(self, records: Iterable[Record]) -> int:
        """Takes in findings of another store, with their states and histories; how many were new.

        What both have keeps the newer state; histories are joined.  An embargo here stays.
        """
        taken = 0
        for record in records:
            with self._errors(), self._transaction():
                query = self._db.execute("SELECT * FROM finding WHERE id = ?", (record.id,))
                row = query.fetchone()
                mine = self._record(row) if row is not None else None
                if mine is not None and mine.hidden:
                    continue
                known = set(mine.history) if mine is not None else set()
                if mine is not None and mine.last_seen >= record.last_seen:
                    kept = mine
                else:
                    kept = record
                    taken += mine is None
                self._put(kept, [event for event in record.history if event not in known])
        return taken

    def forget_texts(self, finding: str) -> None:
        """Takes from a finding's history what tells of it: for an embargo."""
        with self._errors(), self._transaction():
            self._db.execute(
                "UPDATE event SET text = '' WHERE finding = ? AND kind != 'state'", (finding,)
            )

    def _same_bug(self, record: Record) -> str:
        """The finding that this one is another sight of: shrunk to the same operations."""
        mine = shape(record.parsed())
        for row in self._db.execute("SELECT * FROM finding ORDER BY first_seen, id"):
            other = self._record(row)
            if other.id != record.id and other.program and shape(other.parsed()) == mine:
                return other.bug
        return record.id

    def _put(self, record: Record, events: Iterable[Event]) -> None:
        self._db.execute(_PUT, {name: getattr(record, name) for name in _COLUMNS})
        self._db.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?)",
            [(record.id, event.at, event.kind, event.text) for event in events],
        )

    def _record(self, row: sqlite3.Row) -> Record:
        events = self._db.execute(
            "SELECT at, kind, text FROM event WHERE finding = ? ORDER BY at, rowid", (row["id"],)
        )
        values = {**dict(row), "state": State(row["state"])}
        return Record(**values, history=[Event(*event) for event in events])

    def _prepare(self, reading: bool) -> None:
        """Makes the tables of a new file; UsageError for a file that is not the store's."""
        self._db.execute("PRAGMA busy_timeout = 10000")
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if not application and not version and not reading:
            if self._db.execute("SELECT 1 FROM sqlite_schema").fetchone():
                raise UsageError(f"{self.path}: a database of another program")
            self._db.execute("PRAGMA journal_mode = WAL")
            with self._transaction():
                if not self._db.execute("SELECT 1 FROM sqlite_schema").fetchone():
                    for statement in _SCHEMA.split(";"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                    self._db.execute(f"PRAGMA user_version = {VERSION}")
        elif application != _APPLICATION:
            raise UsageError(f"{self.path}: a database of another program")
        elif version != VERSION:
            raise UsageError(
                f"{self.path}: version {version} of the store, this difffuzz knows {VERSION}"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Everything in the body, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """What SQLite and the file system say, in one line with the file's name."""
        try:
            yield
        except sqlite3.OperationalError as error:  # full, read-only, locked by another process
            look = "df" if "full" in str(error) else "ls -ld"
            raise MissingTool(f"{self.path}: {error}", f"{look} {self.out}") from error
        except (sqlite3.DatabaseError, ValueError) as error:
            raise DamagedStore(f"{self.path}: no store of findings: {error}") from error
        except OSError as error:
            raise UsageError(f"{self.out}: {error.strerror}") from error
