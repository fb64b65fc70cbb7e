# SPDX-License-Identifier: GPL-2.0-only
"""The source of the models and of the kernel, with the lines that a campaign has reached."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from ..campaign.database import Database
from ..campaign.measuring import COVER, DROP
from ..campaign.reached import Reached
from .campaigns import Campaign, NotThere, Unreadable

SINCE: Final = {"10min": 600.0, "hour": 3600.0, "day": 86400.0}
"""Names of spans in seconds, up to when the campaign was last seen running."""
SESSION: Final = "session"
MOST_BYTES: Final = 256 << 20

Key = tuple[str, str]
"""Tree and file."""


class FileFigures(msgspec.Struct):
    """Lines of a file that have a branch or code: all, those reached, those reached since."""

    tree: str
    file: str
    lines: int
    reached: int
    new: int


class Files(msgspec.Struct):
    """`measured`: when the newest measurement was written, 0: never.  `since` in seconds since
    1970: lines are new that were reached first after it."""

    files: list[FileFigures]
    lanes: list[str]
    measured: float
    since: float


class Line(msgspec.Struct):
    """`state`: "" has no branch or code of its own, "missed", "reached", "new"; `at`: when it was
    reached first, in seconds since 1970, 0: never or unknown."""

    text: str
    state: str
    at: float


class SourceFile(msgspec.Struct):
    """A file with its lines."""

    figures: FileFigures
    lines: list[Line]
    since: float


class Covers:
    """What campaigns have measured; a file is read again when it was written again."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._read: dict[Path, tuple[tuple[int, int], list[Reached]]] = {}

    def files(self, campaign: Campaign, lane: str = "", since: str = "") -> Files:
        """The files of all lanes together, or of one.  Unreadable; NotThere: no such lane."""
        after = since_time(campaign, since)
        places = _places(campaign.folder)
        return Files(
            files=[_figures(one, after) for one in _joined(self._of(campaign, lane)).values()],
            lanes=sorted(places),
            measured=max((_stamp(path)[0] / 1e9 for path in places.values()), default=0.0),
            since=after,
        )

    def file(
        self, campaign: Campaign, tree: str, name: str, lane: str = "", since: str = ""
    ) -> SourceFile:
        """Unreadable; NotThere."""
        after = since_time(campaign, since)
        found = _joined(self._of(campaign, lane)).get((tree, name))
        if found is None:
            raise NotThere(f"no lane has measured {name} of {tree}")
        lines = [
            _line(text, found.lines.get(number), after)
            for number, text in enumerate(found.source.split("\n"), 1)
        ]
        return SourceFile(_figures(found, after), lines, after)

    def _of(self, campaign: Campaign, lane: str) -> list[Reached]:
        places = _places(campaign.folder)
        if lane and lane not in places:
            raise NotThere(f"lane {lane} has not been measured")
        chosen = [places[lane]] if lane else list(places.values())
        return [one for path in chosen for one in self._document(path)]

    def _document(self, path: Path) -> list[Reached]:
        with self._lock:
            try:
                stamp = _stamp(path)
                known = self._read.get(path)
                if known is None or known[0] != stamp:
                    if stamp[1] > MOST_BYTES:
                        raise Unreadable(f"{path}: larger than {MOST_BYTES >> 20} MiB")
                    known = stamp, msgspec.json.decode(path.read_bytes(), type=list[Reached])
                    self._read[path] = known
            except (OSError, msgspec.DecodeError, RecursionError) as error:
                raise Unreadable(f"{path}: {error}") from error
            return known[1]


def since_time(campaign: Campaign, since: str) -> float:
    """The time, in seconds since 1970, that a span of SINCE or SESSION begins; else the start."""
    with campaign.database() as database:
        if since == SESSION:
            return float(database.one("SELECT max(started) FROM session") or 0.0)
        if since in SINCE:
            return _last_seen(database) - SINCE[since]
    return float("inf")


def _last_seen(database: Database) -> float:
    last = database.one("SELECT at FROM sample ORDER BY rowid DESC LIMIT 1")
    return float(last) if last is not None else time.time()


def _places(folder: Path) -> dict[str, Path]:
    """The measurements, by lane."""
    found = {}
    for path in sorted((folder / COVER).glob("*.json")):
        if path.name != DROP and not path.name.endswith(".branches.json"):
            found[path.name.removesuffix(".json")] = path
    return found


def _stamp(path: Path) -> tuple[int, int]:
    try:
        seen = path.stat()
    except OSError:
        return 0, 0
    return seen.st_mtime_ns, seen.st_size


def _joined(each: Iterable[Reached]) -> dict[Key, Reached]:
    """Files of several lanes, each line with the first time of all."""
    found: dict[Key, Reached] = {}
    for one in sorted(each, key=lambda one: (one.tree, one.file)):
        key = one.tree, one.file
        known = found.get(key)
        if known is None:
            found[key] = Reached(one.tree, one.file, one.source, dict(one.lines))
            continue
        for number, at in one.lines.items():
            before = known.lines.get(number, 0.0)
            known.lines[number] = min(at, before) if at and before else at or before
    return found


def _figures(one: Reached, after: float) -> FileFigures:
    times = one.lines.values()
    return FileFigures(
        tree=one.tree,
        file=one.file,
        lines=len(times),
        reached=sum(at > 0 for at in times),
        new=sum(at > after for at in times),
    )


def _line(text: str, at: float | None, after: float) -> Line:
    if at is None:
        return Line(text, "", 0.0)
    return Line(text, "missed" if at <= 0 else "new" if at > after else "reached", at)
