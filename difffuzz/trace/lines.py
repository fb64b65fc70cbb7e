# SPDX-License-Identifier: GPL-2.0-only
"""Lines of an ftrace text, as `trace`, `trace_pipe` and `trace-cmd report` have them, or a mail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_TRACE: Final = 64 << 20
"""Bytes of the largest trace that is read."""
MAX_LINE: Final = 1000
"""Characters of the longest line that is looked at; KVM's events have less than 300."""
_QUOTED: Final = re.compile(r"^(?:> ?)+")
_LINE: Final = re.compile(
    r"^\s*(?P<comm>\S.*?)-(?P<pid>\d+)\s+(?:\(\s*[\d-]+\)\s+)?\[(?P<cpu>\d+)\]\s+"
    r"(?:[^\s:]{4,9}\s+)?(?P<time>\d+(?:\.\d+)?):\s+(?P<rest>\S.*)$"
)
_EVENT: Final = re.compile(r"^(\w+):\s*(.*)$")
_FUNCTION: Final = re.compile(r"^(\w+) <-\s*\w+")
_LOST: Final = re.compile(r"^CPU:\d+ \[(?:LOST \d+ EVENTS|\d+ EVENTS DROPPED)\]")
_WRITTEN: Final = re.compile(r"^# entries-in-buffer/entries-written: (\d+)/(\d+)")


class Line(NamedTuple):
    """One event of the text.  `number`: of its line, from 1; `function`: of the function tracer."""

    number: int
    comm: str
    pid: int
    time: str
    event: str
    text: str
    function: bool = False


class Lost(NamedTuple):
    """Where events are missing: the ring buffer was full."""

    number: int


def read_lines(text: str) -> Iterator[Line | Lost]:
    """Events and gaps in order.  A line that a mail has wrapped is put together again."""
    kept: Line | None = None
    for number, raw in enumerate(text.split("\n"), 1):
        line = _QUOTED.sub("", raw[: MAX_LINE + 1].rstrip("\r"))
        if len(raw) > MAX_LINE:
            line = ""  # no event
        found = _LINE.match(line)
        if found is None:
            written = _WRITTEN.match(line)
            if _LOST.match(line) or (written and written[1] != written[2]):
                if kept is not None:
                    yield kept
                kept = None
                yield Lost(number)
            elif kept is not None and line.strip() and line[:1] not in "#":
                kept = kept._replace(text=f"{kept.text} {line.strip()}"[:MAX_LINE])
            elif kept is not None:
                yield kept
                kept = None
            continue
        if kept is not None:
            yield kept
        kept = _line(number, found)
    if kept is not None:
        yield kept


def _line(number: int, found: re.Match[str]) -> Line | None:
    comm, pid, time, rest = found["comm"], int(found["pid"]), found["time"], found["rest"]
    event = _EVENT.match(rest)
    if event is not None:
        return Line(number, comm, pid, time, event[1], event[2].strip())
    function = _FUNCTION.match(rest)
    if function is not None:
        return Line(number, comm, pid, time, function[1], rest, True)
    return None
