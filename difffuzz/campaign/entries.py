# SPDX-License-Identifier: GPL-2.0-only
"""The corpus of a campaign: files named by their content, each with what is known of its origin."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from ..files.atomic import write_atomically
from ..files.collection import program_files
from ..files.program_file import read_program
from ..fuzz.news import News, input_name
from ..program import ProgramError, encode
from ..program.limits import MAX_BYTES
from .database import Database

CORPUS: Final = "corpus"
DAMAGED: Final = "damaged"
"""Folder for what a file of the corpus held that was not what its name says."""
GROWING_SECONDS: Final = 10.0
"""A file that is not what its name says may be half written; not for so long."""
_PUT: Final = (
    "INSERT INTO entry (name, at, lane, features, parents, operators, phrases, way, content)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET dropped = NULL"
)
MOST_REPLACED: Final = 0.1
"""Of all files, between two looks."""
_NEWS_WAIT: Final = 10_000
"""News of inputs of which no file has come yet."""


class Entries:
    """Knows which files there are, and puts new ones into the database."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder / CORPUS
        self._damaged = folder / DAMAGED
        self._database = database
        rows = database.rows("SELECT name FROM entry WHERE dropped IS NULL")
        self._known = {str(row["name"]) for row in rows}
        self._news: dict[str, tuple[str, News]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def mend(self) -> list[str]:
        """Before anybody works in the folder: each entry of the database has its file, and each
        file is what its name says.  What was done, in lines.  OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        said = []
        wrong = 0
        present = set()
        for name in sorted(os.listdir(self.folder)):
            path = self.folder / name
            if name.startswith(".") and name.endswith(".tmp"):
                path.unlink()
            elif _content(path) is None:
                self._put_aside(path)
                wrong += 1
            else:
                present.add(name)
        if wrong:
            said.append(f"{wrong} files of the corpus are not what their names say: see {DAMAGED}/")
        back = 0
        for name in sorted(self._known - present):
            content = self._database.one("SELECT content FROM entry WHERE name = ?", [name])
            write_atomically(self.folder / name, content, durable=False)
            back += 1
        if back:
            said.append(f"{back} files of the corpus were not there: made again")
        self.take_in(growing=False)
        return said

    def begin_with(self, directories: Iterable[Path], lane: str) -> int:
        """Adds the programs of folders; how many are new.  What a minimisation has dropped stays
        away.  UsageError for a folder that is none."""
        rows = self._database.rows("SELECT name FROM entry WHERE dropped IS NOT NULL")
        dropped = {str(row["name"]) for row in rows}
        fresh = []
        for directory in directories:
            for path in program_files(directory):
                with suppress(ProgramError):
                    fresh.append(encode(read_program(path)))
        return self.add((data, lane) for data in fresh if input_name(data) not in dropped)

    def add(self, programs: Iterable[tuple[bytes, str]]) -> int:
        """Programs, each with the lane that it is of: how many were new."""
        new = 0
        for data, lane in programs:
            name = input_name(data)
            if name not in self._known and not (self.folder / name).exists():
                write_atomically(self.folder / name, data, durable=False)
                self._news.setdefault(name, (lane, News(name, time.time(), 0)))
                new += 1
        self.take_in(growing=False)
        return new

    def hear(self, lane: str, news: Iterable[News]) -> None:
        """What workers say of files that come, or came just now."""
        for one in news:
            if one.input in self._known:
                self._retell(lane, one)
            else:
                self._news[one.input] = lane, one
        while len(self._news) > _NEWS_WAIT:
            del self._news[next(iter(self._news))]

    def take_in(self, *, growing: bool = True) -> int:
        """Puts new files into the database; how many.  One that is `growing` may be whole later.

        While workers run (`growing`), a file that has gone was replaced by a smaller one.
        """
        fresh = []
        with os.scandir(self.folder) as files:
            names = {one.name for one in files}
        if growing:
            self._replaced(self._known - names)
        for name in names - self._known:
            path = self.folder / name
            content = _content(path)
            if content is None:
                if not growing or _age(path) > GROWING_SECONDS:
                    self._put_aside(path)
                continue
            lane, news = self._news.pop(name, ("", News(name, written(path), 0)))
            fresh.append((name, news.at, lane, news.features, *_texts(news), news.way, content))
        if fresh:
            with self._database.together():
                self._database.db.executemany(_PUT, fresh)
            self._known.update(row[0] for row in fresh)
        return len(fresh)

    def drop(self, names: Iterable[str]) -> int:
        """A minimisation found that these add nothing; the database keeps them."""
        gone = [name for name in names if name in self._known]
        with self._database.together():
            self._database.db.executemany(
                "UPDATE entry SET dropped = ? WHERE name = ?", [(time.time(), one) for one in gone]
            )
        for name in gone:
            (self.folder / name).unlink(missing_ok=True)
        self._known.difference_update(gone)
        return len(gone)

    def _replaced(self, gone: set[str]) -> None:
        if len(gone) > MOST_REPLACED * len(self._known):
            return  # nothing that a fuzzer does: a restart makes them again
        self.drop(gone)

    def _retell(self, lane: str, news: News) -> None:
        """The file came before the news of it."""
        self._database.run(
            "UPDATE entry SET lane = ?, features = ?, parents = ?, operators = ?, phrases = ?,"
            " way = ? WHERE name = ? AND operators = '[]'",
            [lane, news.features, *_texts(news), news.way, news.input],
        )

    def _put_aside(self, path: Path) -> None:
        """Any bytes are a program: what there is of them goes on under its right name."""
        self._damaged.mkdir(exist_ok=True)
        try:
            data = path.read_bytes()[:MAX_BYTES]
        except OSError:
            data = b""
        os.replace(path, self._damaged / path.name)
        if data:
            write_atomically(self.folder / input_name(data), data, durable=False)


def _content(path: Path) -> bytes | None:
    """The bytes of a file that is what its name says."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data if input_name(data) == path.name else None


def _texts(news: News) -> tuple[str, str, str]:
    """Lists, as the database has them: JSON."""
    first, second, third = (
        msgspec.json.encode(one).decode() for one in (news.parents, news.operators, news.phrases)
    )
    return first, second, third


def _age(path: Path) -> float:
    return time.time() - written(path)


def written(path: Path) -> float:
    """When, in seconds since 1970; now, if it has gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
