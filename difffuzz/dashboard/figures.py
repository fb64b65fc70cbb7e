# SPDX-License-Identifier: GPL-2.0-only
"""The figures of a campaign: what it does, over time, by lane, by operator and oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ..campaign.database import Database
from ..campaign.history import POINTS, Point, read_history
from ..campaign.status import Count, EventStatus, LaneStatus, Status, read_counts, read_status
from ..triage.record import Record
from .campaigns import Campaign, Unreadable

MOST_POINTS: Final = 2000
EVENTS_A_PAGE: Final = 200
CURVES: Final = (
    ("coverage", "Coverage: branches and states"),
    ("branches", "Branches"),
    ("states", "States"),
    ("findings", "Findings"),
    ("corpus", "Corpus"),
    ("executions_per_second", "Executions a second"),
    ("operations_per_second", "Operations a second"),
)
"""Fields of a Point, and what their charts are called."""
KINDS: Final = (
    ("operator", "Operators", "what changed or made a program"),
    ("phrase", "Phrases", "what the generator wrote into it"),
    ("way", "Schedules", "how its threads were run"),
)
OBJECTIONS: Final = (
    ("oracle", "Oracles that objected"),
    ("allowed", "Rules that excused a difference"),
)


class Start(msgspec.Struct):
    """Where a session begins; `active`: seconds of running until then."""

    session: int
    active: float
    at: float
    how: str
    """How the one before ended; "" for the first."""


class Curves(msgspec.Struct):
    """Figures over time of running, of all lanes or of one, in columns."""

    campaign: str
    lane: str
    active: list[float]
    at: list[float]
    columns: dict[str, list[float | None]]
    starts: list[Start]


class Shares(msgspec.Struct):
    """What part of the time each lane had, over time of running."""

    campaign: str
    active: list[float]
    lanes: dict[str, list[float | None]]


class LaneReason(msgspec.Struct):
    """A lane, its sides, and why it has its share."""

    lane: str
    left: str
    right: str
    mode: str
    why: str
    figures: LaneStatus


class Events(msgspec.Struct):
    """What happened, the newest first; `before` asks for those before them, 0: there are none."""

    events: list[EventStatus]
    before: int


def status_of(campaign: Campaign) -> Status:
    """What it is doing and has done.  Unreadable."""
    with campaign.readable():
        found = read_status(campaign.folder)
    found.events = _without_secrets(campaign, found.events)
    return found


def curves_of(
    campaign: Campaign,
    lane: str = "",
    begin: float = 0.0,
    end: float = 1e18,
    points: int = POINTS,
) -> Curves:
    """Between two times of running, in seconds.  Unreadable."""
    with campaign.database() as database:
        history = read_history(database, lane, begin, end, min(max(points, 2), MOST_POINTS))
        starts = _starts(database)
    return Curves(
        campaign=campaign.name,
        lane=lane,
        active=[round(one.active, 2) for one in history],
        at=[one.at for one in history],
        columns={name: _column(history, name) for name, _ in CURVES},
        starts=starts,
    )


def shares_of(campaign: Campaign) -> Shares:
    """The newest MOST_POINTS times at which the time was divided.  Unreadable."""
    with campaign.database() as database:
        rows = database.rows(
            "SELECT active, lane, share FROM share ORDER BY rowid DESC LIMIT ?", [MOST_POINTS]
        )
    found: dict[int, dict[str, float]] = {}
    for row in reversed(rows):  # lanes are noted one after the other, at one time
        found.setdefault(round(row["active"]), {})[str(row["lane"])] = row["share"]
    lanes = sorted({lane for each in found.values() for lane in each})
    return Shares(
        campaign=campaign.name,
        active=[float(at) for at in found],
        lanes={lane: [each.get(lane) for each in found.values()] for lane in lanes},
    )


def lanes_of(campaign: Campaign, status: Status) -> list[LaneReason]:
    """Lanes as they are configured, and those of earlier runs."""
    try:
        config = campaign.config()
        sides = {lane.name: (lane.left, lane.right, lane.mode) for lane in config.lane}
        least = config.least_share
    except Unreadable:
        sides, least = {}, 0.0
    every = [*status.lanes, *_idle(campaign, set(sides) - {one.lane for one in status.lanes})]
    total = sum(one.rate for one in every if one.lane in sides)
    return [
        LaneReason(
            one.lane,
            *sides.get(one.lane, ("", "", "")),
            why=_why(one, least, total, len(sides)) if one.lane in sides else "not configured",
            figures=one,
        )
        for one in every
    ]


def stability_of(status: Status) -> str:
    """How many of the programs that were run again reached the same, in words."""
    found = [one for one in status.counts if one.kind == "stability" and one.n]
    if not found:
        return "-"
    return f"{found[0].earned / found[0].n:.1%} of {found[0].n:,} runs"


def counts_of(campaign: Campaign) -> list[Count]:
    """Operators, phrases, schedules, oracles, allowed rules.  Unreadable."""
    with campaign.database() as database:
        return read_counts(database)


def events_of(campaign: Campaign, before: int = 0) -> Events:
    """A page of what happened, of nothing that is embargoed.  Unreadable."""
    where, values = ("WHERE id < ?", [before]) if before > 0 else ("", [])
    query = f"SELECT id, at, kind, text FROM event {where} ORDER BY id DESC LIMIT ?"
    with campaign.database() as database:
        rows = database.rows(query, [*values, EVENTS_A_PAGE + 1])
    shown = rows[:EVENTS_A_PAGE]
    events = [EventStatus(row["at"], row["kind"], row["text"]) for row in shown]
    return Events(
        events=_without_secrets(campaign, events),
        before=int(shown[-1]["id"]) if len(rows) > len(shown) else 0,
    )


def bugs_of(records: Sequence[Record]) -> int:
    """Findings that are not other sights of the same one."""
    return len({one.bug for one in records})


def _why(lane: LaneStatus, least: float, total: float, lanes: int) -> str:
    rest = 1 - least * lanes
    part = lane.rate / total if total else 1 / lanes
    return (
        f"{least:.0%} that every lane has, and {part:.0%} of the other {rest:.0%}: it brought"
        f" {lane.rate:.2f} new features a CPU second of late, all lanes {total:.2f}"
    )


def _idle(campaign: Campaign, names: set[str]) -> list[LaneStatus]:
    """Lanes in which nobody has worked yet."""
    newest = "SELECT max(rowid) FROM share GROUP BY lane"
    with campaign.database() as database:
        rows = database.rows(f"SELECT lane, share, rate FROM share WHERE rowid IN ({newest})")
    return [
        LaneStatus(row["lane"], 0, 0, 0.0, 0, 0, 0, share=row["share"], rate=row["rate"])
        for row in rows
        if row["lane"] in names
    ]


def _starts(database: Database) -> list[Start]:
    found: list[Start] = []
    active, how = 0.0, ""
    for row in database.rows("SELECT id, started, ended, how, active FROM session ORDER BY id"):
        found.append(Start(row["id"], round(active, 2), row["started"], how))
        active += row["active"]
        how = row["how"] if row["ended"] is not None else "it was killed"
    return found


def _column(history: Sequence[Point], name: str) -> list[float | None]:
    values: list[float | None] = [getattr(one, name) for one in history]
    if name.endswith("_per_second"):
        values[:1] = [None]  # there is no point before it
    return values[: len(history)]


def _without_secrets(campaign: Campaign, events: Sequence[EventStatus]) -> list[EventStatus]:
    """What was told of a finding before it was embargoed is told no more."""
    if not any(one.kind == "finding" for one in events):
        return list(events)
    try:
        shown = {one.id for one in campaign.records() if not one.hidden}
    except Unreadable:
        shown = set()
    return [
        one
        if one.kind != "finding" or _id(one) in shown
        else EventStatus(one.at, one.kind, _id(one))
        for one in events
    ]


def _id(event: EventStatus) -> str:
    return event.text.partition(" ")[0]
