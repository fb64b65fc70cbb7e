# SPDX-License-Identifier: GPL-2.0-only
"""campaign.db: damaged, foreign, newer, older; nothing of it is lost that can be read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from difffuzz.campaign import database as module
from difffuzz.campaign.database import Damaged, Database, open_or_mend
from difffuzz.campaign.entries import Entries
from difffuzz.campaign.status import read_status
from difffuzz.errors import UsageError

from .fakes import put_entry


def filled(folder: Path, count: int = 2000) -> Path:
    """A database of many pages; its file."""
    for number in range(count):
        put_entry(folder, b"%d " % number * 20)
    database = Database(folder)
    Entries(folder, database).mend()
    database.run("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return folder / "campaign.db"


def test_a_damaged_page_costs_nothing_that_is_in_files(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(Damaged):
        Database(tmp_path)
    database, said = open_or_mend(tmp_path)
    assert said.startswith(
        "campaign.db: a page of it is damaged: set aside as campaign.db.damaged-1"
    )
    entries = Entries(tmp_path, database)
    entries.mend()
    assert len(entries) == 2000
    assert (tmp_path / "campaign.db.damaged-1").exists()
    assert "damaged" in [row["kind"] for row in database.rows("SELECT kind FROM event")]
    database.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    filled(tmp_path, 10)
    (tmp_path / "campaign.db").write_bytes(b"not a database, but longer than its head" * 100)
    with pytest.raises(UsageError, match=r"'difffuzz campaign run .*' makes it anew"):
        read_status(tmp_path)
    database, said = open_or_mend(tmp_path)
    assert "file is not a database" in said
    assert Entries(tmp_path, database).mend() == []
    database.close()


def test_another_program_s_database_is_not_touched(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "campaign.db")
    db.execute("CREATE TABLE mine (x)")
    db.commit()
    db.close()
    with pytest.raises(UsageError, match="a database of another program"):
        open_or_mend(tmp_path)
    assert sqlite3.connect(tmp_path / "campaign.db").execute("SELECT * FROM mine").fetchall() == []


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    Database(tmp_path).close()
    db = sqlite3.connect(tmp_path / "campaign.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(UsageError, match="version 99 of a campaign, this difffuzz knows 1"):
        open_or_mend(tmp_path)


def test_an_older_version_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, 10)
    more = (*module.MIGRATIONS, "ALTER TABLE entry ADD COLUMN stars INTEGER NOT NULL DEFAULT 5")
    monkeypatch.setattr(module, "MIGRATIONS", more)
    monkeypatch.setattr(module, "VERSION", len(more))
    with pytest.raises(UsageError, match="version 1 of a campaign, this difffuzz knows 2"):
        Database(tmp_path, reading=True)
    database = Database(tmp_path)
    assert database.one("SELECT sum(stars) FROM entry") == 50
    assert database.one("PRAGMA user_version") == 2
    database.close()
