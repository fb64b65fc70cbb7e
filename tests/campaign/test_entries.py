# SPDX-License-Identifier: GPL-2.0-only
"""The corpus: every file is what its name says, every entry has its file, origins are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from difffuzz.campaign.database import Database
from difffuzz.campaign.entries import Entries
from difffuzz.fuzz.news import News, input_name
from difffuzz.program import encode, render

from .fakes import PROGRAM, put_entry


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path)
    yield database
    database.close()


def content(database: Database, name: str) -> bytes:
    found = database.one("SELECT content FROM entry WHERE name = ?", [name])
    assert isinstance(found, bytes)
    return found


def test_new_files_are_taken_in_with_what_is_known_of_them(
    tmp_path: Path, database: Database
) -> None:
    entries = Entries(tmp_path, database)
    entries.mend()
    known, unknown, late = (put_entry(tmp_path, data) for data in (b"one", b"two", b"three"))
    entries.hear("lockstep", [News(known, 5.0, 3, ("p",), ("insert",), ("parked",), "PCT")])
    assert entries.take_in() == 3
    assert entries.take_in() == 0
    entries.hear("races", [News(late, 6.0, 2, (), ("fresh",), (), "search")])
    rows = {row["name"]: dict(row) for row in database.rows("SELECT * FROM entry")}
    assert rows[known]["lane"] == "lockstep"
    assert (rows[known]["at"], rows[known]["features"], rows[known]["way"]) == (5.0, 3, "PCT")
    assert (rows[known]["parents"], rows[known]["operators"]) == ('["p"]', '["insert"]')
    assert (rows[unknown]["lane"], rows[unknown]["operators"]) == ("", "[]")
    assert (rows[late]["lane"], rows[late]["operators"]) == ("races", '["fresh"]')
    assert content(database, known) == b"one"
    assert len(entries) == 3


def test_a_file_that_is_half_written_waits(tmp_path: Path, database: Database) -> None:
    entries = Entries(tmp_path, database)
    entries.mend()
    name = input_name(b"whole")
    path = tmp_path / "corpus" / name
    path.write_bytes(b"who")
    assert entries.take_in() == 0
    path.write_bytes(b"whole")
    assert entries.take_in() == 1
    assert not (tmp_path / "damaged").exists()


def test_a_damaged_file_is_put_aside_and_made_again(tmp_path: Path, database: Database) -> None:
    name = put_entry(tmp_path, b"what it was")
    entries = Entries(tmp_path, database)
    entries.mend()
    (tmp_path / "corpus" / name).write_bytes(b"what it is")
    said = Entries(tmp_path, database).mend()
    assert said == [
        "1 files of the corpus are not what their names say: see damaged/",
        "1 files of the corpus were not there: made again",
    ]
    assert (tmp_path / "corpus" / name).read_bytes() == b"what it was"
    assert (tmp_path / "damaged" / name).read_bytes() == b"what it is"
    assert (tmp_path / "corpus" / input_name(b"what it is")).exists()
    assert Entries(tmp_path, database).mend() == []


def test_a_file_that_stays_wrong_while_workers_run(tmp_path: Path, database: Database) -> None:
    entries = Entries(tmp_path, database)
    entries.mend()
    path = tmp_path / "corpus" / input_name(b"whole")
    path.write_bytes(b"who")
    os.utime(path, (0, 0))
    entries.take_in()
    assert (tmp_path / "damaged" / path.name).read_bytes() == b"who"
    assert entries.take_in() == 1
    assert len(entries) == 1


def test_what_a_smaller_one_has_replaced_is_dropped_and_kept(
    tmp_path: Path, database: Database
) -> None:
    names = [put_entry(tmp_path, bytes([number])) for number in range(30)]
    entries = Entries(tmp_path, database)
    entries.mend()
    (tmp_path / "corpus" / names[3]).unlink()
    entries.take_in()
    assert len(entries) == 29
    assert content(database, names[3]) == b"\x03"
    assert database.one("SELECT count(*) FROM entry WHERE dropped IS NOT NULL") == 1
    assert Entries(tmp_path, database).mend() == []
    put_entry(tmp_path, b"\x03")  # somebody found it again
    entries.take_in()
    assert len(entries) == 30


def test_a_corpus_that_somebody_removed_comes_back(tmp_path: Path, database: Database) -> None:
    names = [put_entry(tmp_path, bytes([number])) for number in range(30)]
    entries = Entries(tmp_path, database)
    entries.mend()
    for name in names[:20]:
        (tmp_path / "corpus" / name).unlink()
    entries.take_in()
    assert len(entries) == 30
    assert Entries(tmp_path, database).mend() == [
        "20 files of the corpus were not there: made again"
    ]
    assert {path.name for path in (tmp_path / "corpus").iterdir()} == set(names)


def test_a_minimisation_drops_files_and_keeps_their_content(
    tmp_path: Path, database: Database
) -> None:
    names = [put_entry(tmp_path, bytes([number])) for number in range(4)]
    entries = Entries(tmp_path, database)
    entries.mend()
    assert entries.drop([*names[:2], "no-such-entry"]) == 2
    assert {path.name for path in (tmp_path / "corpus").iterdir()} == set(names[2:])
    assert content(database, names[0]) == b"\x00"
    assert len(Entries(tmp_path, database)) == 2


def test_what_was_dropped_does_not_come_with_the_next_run(
    tmp_path: Path, database: Database
) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "one.difffuzz").write_text(render(PROGRAM))
    entries = Entries(tmp_path, database)
    entries.mend()
    assert entries.begin_with([tmp_path / "given"], "") == 1
    entries.drop([input_name(encode(PROGRAM))])
    again = Entries(tmp_path, database)
    again.mend()
    assert again.begin_with([tmp_path / "given"], "") == 0
    assert len(again) == 0
