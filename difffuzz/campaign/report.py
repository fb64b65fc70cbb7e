# SPDX-License-Identifier: GPL-2.0-only
"""The report of a campaign: Markdown that can be mailed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from ..triage.record import Record, State, family
from .status import Status

HIDDEN: Final = (State.INVALID,)


def report_text(status: Status, records: Sequence[Record]) -> str:
    """What it did and found; of embargoed findings no more than may be told."""
    return "\n".join(_lines(status, records)) + "\n"


def _lines(status: Status, records: Sequence[Record]) -> Iterator[str]:
    yield f"# Campaign {status.folder}: {status.state}"
    yield ""
    first = status.sessions[0].started if status.sessions else 0.0
    yield (
        f"{_hours(status.seconds)} of running in {len(status.sessions)} sessions since"
        f" {_date(first)}; {status.executions:,} executions, {status.operations:,} operations;"
        f" coverage {status.coverage:,}, corpus {status.corpus:,};"
        f" nothing new for {_hours(status.quiet_seconds)}."
    )
    yield from _findings(records)
    yield from _table(
        "Lanes",
        ("lane", "share", "CPU", "executions", "branches", "states", "new/CPU s", "restarts"),
        [
            (
                one.lane,
                f"{one.share:.0%}",
                _hours(one.cpu),
                f"{one.executions:,}",
                f"{one.branches:,}",
                f"{one.states:,}",
                f"{one.rate:.2f}",
                str(one.restarts),
            )
            for one in status.lanes
        ],
    )
    for kind, title in (("operator", "Operators"), ("phrase", "Phrases"), ("way", "Schedules")):
        rows = [one for one in status.counts if one.kind == kind]
        yield from _table(
            title,
            ("name", "inputs", "with something new"),
            [(one.name, f"{one.n:,}", f"{one.earned:,}") for one in rows],
        )
    for kind, title in (("oracle", "Oracles that objected"), ("allowed", "Differences allowed")):
        rows = sorted((one for one in status.counts if one.kind == kind), key=lambda one: -one.n)
        yield from _table(title, ("name", "times"), [(one.name, f"{one.n:,}") for one in rows])
    yield from _table(
        "Sessions",
        ("began", "ended", "ran for", "programs there", "findings there"),
        [
            (
                _date(one.started),
                f"{_date(one.ended)}, {one.how}" if one.ended else "without a word",
                _hours(one.active),
                f"{one.programs:,}",
                f"{one.findings:,}",
            )
            for one in status.sessions
        ],
    )


def _findings(records: Sequence[Record]) -> Iterator[str]:
    told = [one for one in records if one.state not in HIDDEN]
    families: dict[str, list[Record]] = {}
    for one in told:
        families.setdefault(one.id if one.hidden else family(one.signature), []).append(one)
    yield ""
    yield f"## Findings: {len(told)}, of {len(families)} families"
    yield ""
    yield "A family is a property and a place; each is told by its smallest program."
    for name, members in sorted(families.items(), key=lambda one: -len(one[1])):
        yield from _family(name, sorted(members, key=lambda one: len(one.program)))


def _family(name: str, members: Sequence[Record]) -> Iterator[str]:
    best, *others = members
    yield ""
    if best.hidden:
        yield f"### {best.id}: embargoed ({best.oracle}, {best.first_seen})"
        return
    yield f"### {name}: {best.id}, {best.state.value}"
    yield ""
    yield f"`{best.signature}`: {best.detail}"
    yield ""
    yield f"{best.sides}, {best.mode}; first seen {best.first_seen}; shown {best.shown}/{best.runs}"
    yield ""
    yield from (f"    {line}" for line in best.program.splitlines())
    if others:
        yield ""
        yield f"{len(others)} more: {', '.join(f'{one.id} `{one.signature}`' for one in others)}"


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"## {title}"
    yield ""
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _date(at: float | None) -> str:
    if at is None:
        return "-"
    return datetime.fromtimestamp(at, UTC).isoformat(" ", "minutes").removesuffix("+00:00")


def _hours(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
