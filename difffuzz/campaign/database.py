# SPDX-License-Identifier: GPL-2.0-only
"""campaign.db: what is asked of a campaign, and what it tells; SQLite, one version, migrated.

Programs and findings are files besides, so that this file can be made anew from them; entries have
their content here, so that a file of the corpus can be made anew from this one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from ..errors import MissingTool, UsageError
from ..files.read_sqlite import connect_reading

FILE: Final = "campaign.db"
APPLICATION: Final = 0x64666361
"""Tells the file from another program's: "dfca"."""
MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE session (
        id INTEGER PRIMARY KEY, started REAL NOT NULL, ended REAL, how TEXT NOT NULL,
        active REAL NOT NULL, programs INTEGER NOT NULL, findings INTEGER NOT NULL,
        version TEXT NOT NULL
    ) STRICT;
    CREATE TABLE worker (
        id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES session, place TEXT NOT NULL,
        lane TEXT NOT NULL, pid INTEGER NOT NULL, started REAL NOT NULL, state TEXT NOT NULL,
        executions INTEGER NOT NULL, operations INTEGER NOT NULL, cpu REAL NOT NULL,
        branches INTEGER NOT NULL, states INTEGER NOT NULL, skipped INTEGER NOT NULL,
        restarts INTEGER NOT NULL, failure TEXT NOT NULL
    ) STRICT;
    CREATE TABLE counter (
        worker INTEGER NOT NULL REFERENCES worker, kind TEXT NOT NULL, name TEXT NOT NULL,
        n INTEGER NOT NULL, earned INTEGER NOT NULL,
        PRIMARY KEY (worker, kind, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sample (
        session INTEGER NOT NULL REFERENCES session, at REAL NOT NULL, active REAL NOT NULL,
        lane TEXT NOT NULL, executions INTEGER NOT NULL, operations INTEGER NOT NULL,
        cpu REAL NOT NULL, branches INTEGER NOT NULL, states INTEGER NOT NULL,
        corpus INTEGER NOT NULL, findings INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX sample_of ON sample (lane, active);
    CREATE TABLE share (
        active REAL NOT NULL, lane TEXT NOT NULL, share REAL NOT NULL, rate REAL NOT NULL,
        cpu REAL NOT NULL
    ) STRICT;
    CREATE TABLE entry (
        name TEXT PRIMARY KEY, at REAL NOT NULL, lane TEXT NOT NULL, features INTEGER NOT NULL,
        parents TEXT NOT NULL, operators TEXT NOT NULL, phrases TEXT NOT NULL, way TEXT NOT NULL,
        content BLOB NOT NULL, dropped REAL
    ) STRICT;
    CREATE INDEX entry_at ON entry (at);
    CREATE INDEX entry_new ON entry (at) WHERE features > 0;
    CREATE INDEX entry_dropped ON entry (dropped);
    CREATE TABLE event (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL
    ) STRICT;
    CREATE TABLE wish (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, what TEXT NOT NULL
    ) STRICT
    """,
)
"""The first makes the tables, each other one changes those of the version before it."""
VERSION: Final = len(MIGRATIONS)
BUSY_MS: Final = 10_000


class Damaged(MissingTool):
    """The file is no database any more; the next run begins a new one."""

    def __init__(self, path: Path, why: object) -> None:
        super().__init__(f"{path} is damaged: {why}", f"difffuzz campaign run {path.parent}")
        self.why = why


class Database:
    """An open campaign.db.  MissingTool where it cannot be written, Damaged."""

    def __init__(self, folder: Path, *, reading: bool = False) -> None:
        """`reading`: it is there and is not changed; UsageError if it is of another version."""
        self.path = folder / FILE
        with self.errors():
            if reading:
                if not self.path.is_file():
                    raise UsageError(f"{self.path}: no campaign has run in {folder}")
                self.db = connect_reading(self.path)
            else:
                self.db = sqlite3.connect(self.path, isolation_level=None)
            self.db.row_factory = sqlite3.Row
            self.db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            self._prepare(reading)

    def close(self) -> None:
        """Closes the file; what was written is there."""
        self.db.close()

    def rows(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """What a query finds."""
        with self.errors():
            return self.db.execute(query, values).fetchall()

    def one(self, query: str, values: Sequence[object] = ()) -> Any:
        """The first column of the first row; None if there is none."""
        found = self.rows(query, values)
        return found[0][0] if found else None

    def run(self, statement: str, values: Sequence[object] = ()) -> int:
        """One statement; the rowid of what it put in."""
        with self.errors():
            return self.db.execute(statement, values).lastrowid or 0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Everything in the body, or nothing."""
        with self.errors():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with suppress(sqlite3.Error):
                    self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    def put(self, table: str, **values: object) -> int:
        """A row, put in or replaced; its rowid."""
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        return self.run(
            f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", list(values.values())
        )

    def tell(self, kind: str, text: str) -> None:
        """An event, for whoever asks what happened."""
        self.put("event", at=time.time(), kind=kind, text=text)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """What SQLite says, in one line with the file's name."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "malformed" in str(error) or "no such table" in str(error):
                raise Damaged(self.path, error) from error
            look = "df -h" if "full" in str(error) else "ls -ld"
            raise MissingTool(f"{self.path}: {error}", f"{look} {self.path.parent}") from error
        except sqlite3.DatabaseError as error:
            raise Damaged(self.path, error) from error

    def _prepare(self, reading: bool) -> None:
        application = self.db.execute("PRAGMA application_id").fetchone()[0]
        version = self.db.execute("PRAGMA user_version").fetchone()[0]
        empty = not self.db.execute("SELECT 1 FROM sqlite_schema").fetchone()
        if not empty and application != APPLICATION:
            raise UsageError(f"{self.path}: a database of another program")
        if version > VERSION or (reading and version != VERSION):
            raise UsageError(
                f"{self.path}: version {version} of a campaign, this difffuzz knows {VERSION}"
            )
        if reading:
            return
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        if self.db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise Damaged(self.path, "a page of it is damaged")
        for number in range(version, VERSION):
            with self.together():
                for statement in MIGRATIONS[number].split(";"):
                    self.db.execute(statement)
                self.db.execute(f"PRAGMA application_id = {APPLICATION}")
                self.db.execute(f"PRAGMA user_version = {number + 1}")


def open_or_mend(folder: Path) -> tuple[Database, str]:
    """The database, and what was wrong with it: a damaged one is set aside and a new one begun.

    What it knew of entries that is still legible is taken over.
    """
    try:
        return Database(folder), ""
    except Damaged as error:
        aside = set_aside(folder / FILE)
        database = Database(folder)
        saved = _salvage(aside, database)
        text = f"{FILE}: {error.why}: set aside as {aside.name}, begun anew with {saved} entries"
        text += " of it"
        database.tell("damaged", text)
        return database, text


def set_aside(path: Path) -> Path:
    """Gives a damaged file, and what SQLite has beside it, another name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    for tail in ("-wal", "-shm"):
        beside = path.with_name(path.name + tail)
        with suppress(FileNotFoundError):
            beside.rename(aside.with_name(aside.name + tail))
    return aside


def _salvage(aside: Path, database: Database) -> int:
    """Entries of a damaged file, as far as they can be read."""
    saved = 0
    try:
        old = sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True)
        for row in old.execute("SELECT * FROM entry"):
            marks = ", ".join("?" * len(row))
            database.run(f"INSERT OR IGNORE INTO entry VALUES ({marks})", row)
            saved += 1
    except sqlite3.Error:
        pass
    return saved
