# SPDX-License-Identifier: GPL-2.0-only
"""`python -m difffuzz.campaign.measuring DIR [--minimize]`: what the corpus reaches, lane by lane.

DIR/cover/LANE.json tells which lines were reached, and since when; with --minimize
DIR/cover/drop.json names the entries that add nothing in any lane.  What was measured is kept, so
that it is not run again.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from ..files.atomic import write_atomically
from ..fuzz.set_cover import measure, set_cover
from ..running.orphan import end_with_parent
from ..sides.identity import identity
from .config import Config, Lane, read_config
from .database import Database
from .entries import CORPUS, written
from .native_lines import native_lines
from .reached import Reached, model_lines

COVER: Final = "cover"
DROP: Final = "drop.json"

Found = dict[Path, frozenset[int]]


def main(folder_name: str, *options: str) -> None:
    """Measures, and says what it does."""
    end_with_parent()
    folder = Path(folder_name)
    config = read_config(folder)
    cover = folder / COVER
    cover.mkdir(exist_ok=True)
    files = sorted(path for path in (folder / CORPUS).iterdir() if path.is_file())
    times = _times(folder, files)
    reached = {lane.name: _measure(lane, files, cover) for lane in _different(config)}
    for lane in _different(config):
        first = _first_reached(reached[lane.name], times)
        found = model_lines(lane, first, _branches(cover / f"{lane.name}.branches.json"))
        found += native_lines(lane, files, times, cover, lambda line: print(line, flush=True))
        _write(cover / f"{lane.name}.json", found)
    if "--minimize" in options:
        _write(cover / DROP, _surplus(files, reached))


def _different(config: Config) -> list[Lane]:
    """One lane for each pair of sides and mode."""
    return list({(lane.left, lane.right, lane.mode): lane for lane in config.lane}.values())


def _measure(lane: Lane, files: Sequence[Path], cover: Path) -> Found:
    made_of = f"{identity(lane.left)} {identity(lane.right)} {lane.mode}"

    def name(path: Path) -> str:
        return hashlib.sha256(f"{made_of} {path.name}".encode()).hexdigest()[:32]

    def keep(branches: str) -> None:
        write_atomically(cover / f"{lane.name}.branches.json", branches.encode())

    def say(count: int) -> None:
        if count % 1000 == 0:
            print(lane.name, count, flush=True)

    notes = cover / f"{lane.name}.reached.jsonl"
    return measure(files, (lane.left, lane.right, lane.mode), notes, name, say, keep)


def _surplus(files: Sequence[Path], reached: Mapping[str, Found]) -> list[str]:
    """Names of those without which as much is reached in every lane."""
    together: Found = {}
    numbers: dict[tuple[str, int], int] = {}
    for path in files:
        own = ((lane, one) for lane, found in reached.items() for one in found[path])
        together[path] = frozenset(numbers.setdefault(key, len(numbers)) for key in own)
    kept = set(set_cover(together, lambda path: path.stat().st_size))
    return sorted(path.name for path in files if path not in kept)


def _first_reached(found: Found, times: Mapping[str, float]) -> dict[int, float]:
    """When each number was reached first."""
    first: dict[int, float] = {}
    for path, numbers in found.items():
        at = times[path.name]
        for number in numbers:
            first[number] = min(at, first.get(number, at))
    return first


def _times(folder: Path, files: Sequence[Path]) -> dict[str, float]:
    """When each file came: as the database says, or the file itself where it is newer than that."""
    database = Database(folder, reading=True)
    try:
        rows = database.rows("SELECT name, at FROM entry")
        known = {str(row["name"]): float(row["at"]) for row in rows}
    finally:
        database.close()
    return {path.name: known.get(path.name) or written(path) for path in files}


def _branches(path: Path) -> list[tuple[str, int]]:
    if not path.is_file():
        return []
    return msgspec.json.decode(path.read_bytes(), type=list[tuple[str, int]])


def _write(path: Path, document: list[Reached] | list[str]) -> None:
    write_atomically(path, msgspec.json.encode(document))


if __name__ == "__main__":
    main(*sys.argv[1:])
