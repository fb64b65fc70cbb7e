# SPDX-License-Identifier: GPL-2.0-only
"""What commands over traces share: which kernel wrote it, where its slots are, what it had."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..trace.reading import Trace, read_trace
from .progress import note

Slots = Annotated[
    list[str] | None,
    typer.Option("--slot", metavar="GFN,PAGES,HVA", help="A memslot of the traced VM; repeat it."),
]
KernelOf = Annotated[
    str | None,
    typer.Option(
        "--kernel", metavar="V", help="Which Linux wrote the trace, as 6.1; else guessed."
    ),
]
_VERSION = re.compile(r"^v?(\d{1,2})\.(\d{1,3})(?:[.-].*)?$")
NAMED = 5
"""Events that a line names at most."""


def version_of(text: str | None) -> tuple[int, int] | None:
    """(major, minor).  UsageError: it is no version."""
    if text is None:
        return None
    found = _VERSION.match(text)
    if found is None:
        raise UsageError(f"--kernel {text}: expected a version, as 6.12")
    return int(found[1]), int(found[2])


def read_and_tell(path: Path, kernel: str | None) -> Trace:
    """The trace; what was guessed and skipped goes to stderr."""
    trace = read_trace(path, version_of(kernel))
    for guess in trace.guesses:
        note(f"guessed: {guess}")
    if trace.skipped:
        named = ", ".join(f"{n} {name}" for name, n in trace.skipped.most_common(NAMED))
        more = len(trace.skipped) - NAMED
        note(f"skipped: {named}{f' and {more} other events' if more > 0 else ''}")
    if trace.broken:
        where = ", ".join(map(str, trace.broken[:NAMED]))
        note(f"skipped: {len(trace.broken)} events that are not whole, in line {where}")
    return trace


def read_document(trace: Trace) -> dict[str, object]:
    """What JSON documents have of the reading."""
    return {
        "trace": trace.path,
        "events": len(trace.events),
        "faults": len(trace.faults),
        "skipped": dict(sorted(trace.skipped.items())),
        "broken": trace.broken,
        "guessed": trace.guesses,
    }
