# SPDX-License-Identifier: GPL-2.0-only
"""Findings as JSON Lines: one a line, in the order of their ids, so that git shows what changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ..errors import UsageError
from ..files.read import read_text
from ..program import ProgramError
from .record import Record, State, finding_id

MAX_BYTES = 256 << 20


def public(record: Record) -> dict[str, object]:
    """What may be shown of a finding: of an embargoed one its id, oracle and date."""
    if record.hidden:
        seen = {"first_seen": record.first_seen, "last_seen": record.last_seen}
        return {"id": record.id, "oracle": record.oracle, "state": record.state.value, **seen}
    return {
        **msgspec.to_builtins(record),
        "sides": record.sides,
        "reliability": [record.shown, record.runs],
    }


def export_lines(records: Iterable[Record]) -> Iterator[str]:
    """A line of JSON for each finding."""
    for record in sorted(records, key=lambda record: record.id):
        line = public(record)
        line.pop("sides", None)
        line.pop("reliability", None)
        yield msgspec.json.encode(line).decode() + "\n"


def import_lines(path: Path) -> tuple[list[Record], int]:
    """The findings of a file, and how many are embargoed where it comes from: it tells no more.

    UsageError with the file's name and the line.
    """
    records = []
    hidden = 0
    for number, line in enumerate(read_text(path, MAX_BYTES).split("\n"), 1):
        if not line.strip():
            continue
        try:
            head = msgspec.json.decode(line, type=dict[str, object])
            if head.get("state") == State.EMBARGOED:
                hidden += 1
                continue
            record = msgspec.convert(head, Record, strict=True)
            record.parsed()
        except (msgspec.DecodeError, RecursionError, ProgramError) as error:
            raise UsageError(f"{path}:{number}: no finding: {error}") from error
        if record.id != finding_id(record.signature, record.left, record.right):
            raise UsageError(f"{path}:{number}: the id is not that of this finding")
        if not 0 <= record.shown <= record.runs:
            raise UsageError(f"{path}:{number}: shown {record.shown} times in {record.runs}")
        records.append(record)
    return records, hidden
