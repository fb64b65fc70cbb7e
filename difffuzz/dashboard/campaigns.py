# SPDX-License-Identifier: GPL-2.0-only
"""The campaigns that are shown, and how each is read: for a moment, and never written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..campaign.config import FILE as CONFIG
from ..campaign.config import Config, read_config
from ..campaign.database import FILE, Damaged, Database
from ..errors import MissingTool, UsageError
from ..triage.record import Record
from ..triage.store import FILE as STORE
from ..triage.store import Store


class Unreadable(Exception):
    """A line for people: what there should be cannot be read now."""


class NotThere(Exception):
    """A line for people: nothing has that name."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """One of those that are shown; `number` is its place on the command line."""

    number: int
    name: str
    """Of its own among them."""
    folder: Path

    @contextmanager
    def database(self) -> Iterator[Database]:
        """campaign.db, as it is at this moment.  Unreadable."""
        with self.readable():
            database = Database(self.folder, reading=True)
            try:
                yield database
            finally:
                database.close()

    def records(self) -> list[Record]:
        """Its findings, the first found first; none before a run has found some.  Unreadable."""
        if not (self.folder / STORE).exists():
            return []
        with self.readable(), Store(self.folder, reading=True) as store:
            return store.all()

    def config(self) -> Config:
        """Unreadable."""
        with self.readable():
            return read_config(self.folder, to_run=False)

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Unreadable for whatever keeps the body from reading."""
        try:
            yield
        except Damaged as error:
            again = f"'difffuzz campaign run {self.folder}' makes it anew"
            raise Unreadable(f"{self.folder / FILE} is damaged: {error}: {again}") from error
        except (UsageError, MissingTool) as error:
            raise Unreadable(str(error)) from error
        except OSError as error:
            text = f"{error.filename or self.folder}: {error.strerror}"
            raise Unreadable(text) from error


def open_campaigns(folders: Sequence[Path]) -> tuple[Campaign, ...]:
    """UsageError: there is no campaign in one of them, or one is named twice."""
    found: list[Campaign] = []
    for number, folder in enumerate(folders):
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
        if not (folder / CONFIG).is_file() and not (folder / FILE).is_file():
            raise UsageError(f"{folder}: no campaign: 'difffuzz campaign init {folder}' begins one")
        absolute = folder.absolute().resolve()
        if any(one.folder == absolute for one in found):
            raise UsageError(f"{folder}: is named twice")
        name = absolute.name or str(absolute)
        if any(one.name == name for one in found):
            name = str(absolute)
        found.append(Campaign(number, name, absolute))
    return tuple(found)
