# SPDX-License-Identifier: GPL-2.0-only
"""The corpus of a campaign, by pages; a program of it, and where it comes from."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ..campaign.database import Database
from ..program import ProgramError, decode, render
from ..program.limits import MAX_BYTES
from .campaigns import Campaign, NotThere

A_PAGE: Final = 50
NAME: Final = re.compile(r"[0-9a-f]{40}")
GENERATIONS: Final = 20
A_GENERATION: Final = 30
CHILDREN: Final = 200
MOST_TEXT: Final = 400
"""Characters of a name, a lane, a list of names: more is not what a campaign writes."""

_CUT: Final = ", ".join(
    f"substr({name}, 1, {MOST_TEXT * more}) AS {name}"
    for name, more in (
        ("name", 1),
        ("lane", 1),
        ("parents", 10),
        ("operators", 10),
        ("phrases", 10),
        ("way", 1),
    )
)
_COLUMNS: Final = f"at, features, dropped, length(content) AS size, {_CUT}"


class Entry(msgspec.Struct):
    """A program of the corpus.  `at`, `dropped` in seconds since 1970; `size` in bytes."""

    name: str
    at: float
    lane: str
    features: int
    """Branches and states that were new to its worker."""
    parents: list[str]
    operators: list[str]
    phrases: list[str]
    way: str
    size: int
    dropped: float | None
    """When it went from the corpus because it added nothing."""


class Page(msgspec.Struct):
    """Entries, the newest first; `before` asks for those before them, "": there are none."""

    entries: list[Entry]
    before: str
    lanes: list[str]


class Lineage(msgspec.Struct):
    """A program, those that it was made of, and those that were made of it."""

    entry: Entry
    text: str
    older: list[list[Entry]]
    """Its parents, theirs, and so on."""
    children: list[Entry]


def page_of(
    campaign: Campaign, name: str = "", lane: str = "", operator: str = "", before: str = ""
) -> Page:
    """Those whose name begins so, of that lane, that such an operator, phrase or schedule made.

    Unreadable; NotThere: `before` is not what an earlier page said.
    """
    where: list[str] = []
    values: list[object] = []
    if name:
        where.append("name >= ? AND name < ?")
        values += [name, name + "\U0010ffff"]
    if lane:
        where.append("lane = ?")
        values.append(lane)
    if operator:
        quoted = msgspec.json.encode(operator).decode()
        where.append("(instr(operators, ?) OR instr(phrases, ?) OR way = ?)")
        values += [quoted, quoted, operator]
    if before:
        at, _, last = before.partition(" ")
        try:
            values += [float(at), last]
        except ValueError:
            raise NotThere("there is no such page of the corpus") from None
        where.append("(at, name) < (?, ?)")
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    # A name is found by its own index, everything else from the newest on.
    source = "entry" if name else "entry INDEXED BY entry_at"
    query = f"SELECT {_COLUMNS} FROM {source} {condition} ORDER BY at DESC, name DESC LIMIT ?"
    with campaign.database() as database:
        entries = [_entry(row) for row in database.rows(query, [*values, A_PAGE + 1])]
        lanes = [str(row[0]) for row in database.rows("SELECT DISTINCT lane FROM worker")]
    more = len(entries) > A_PAGE
    entries = entries[:A_PAGE]
    last_one = entries[-1] if more else None
    return Page(entries, f"{last_one.at!r} {last_one.name}" if last_one else "", sorted(lanes))


def lineage_of(campaign: Campaign, name: str) -> Lineage:
    """NotThere; Unreadable."""
    with campaign.database() as database:
        found = _named(database, [name])
        if not found:
            raise NotThere(f"the corpus has no {name}")
        content = database.one(
            f"SELECT substr(content, 1, {MAX_BYTES}) FROM entry WHERE name = ?", [name]
        )
        children = database.rows(
            f"SELECT {_COLUMNS} FROM entry WHERE instr(parents, ?) ORDER BY at LIMIT ?",
            [f'"{name}"', CHILDREN],
        )
        return Lineage(
            entry=found[0],
            text=_text(content),
            older=_older(database, found[0]),
            children=[_entry(row) for row in children],
        )


def _older(database: Database, entry: Entry) -> list[list[Entry]]:
    seen = {entry.name}
    generations: list[list[Entry]] = []
    generation = [entry]
    while len(generations) < GENERATIONS:
        names = dict.fromkeys(name for one in generation for name in one.parents)
        generation = _named(database, [name for name in names if name not in seen][:A_GENERATION])
        if not generation:
            break
        seen |= {one.name for one in generation}
        generations.append(generation)
    return generations


def _named(database: Database, names: Iterable[str]) -> list[Entry]:
    query = f"SELECT {_COLUMNS} FROM entry WHERE name = ?"
    return [_entry(row) for name in names for row in database.rows(query, [name])]


def _entry(row: sqlite3.Row) -> Entry:
    values: dict[str, Any] = dict(row)
    for field in ("parents", "operators", "phrases"):
        values[field] = _list(values[field])
    return Entry(**values)


def _list(text: str) -> list[str]:
    """Names; none if it is no list of such."""
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.DecodeError, RecursionError):
        return []


def _text(content: object) -> str:
    """The text form of a program."""
    if not isinstance(content, bytes):
        return ""
    try:
        return render(decode(content))
    except ProgramError as error:
        return f"# no program: {error}\n"
