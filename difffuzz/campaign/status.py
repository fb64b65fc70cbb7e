# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign is and has done, read from its folder, whether it runs or not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import msgspec

from ..errors import UsageError
from ..fuzz.out_lock import is_locked
from .database import Damaged, Database
from .ledger import TOTALS

RECENT_SECONDS: Final = 120.0
"""Rates are of the last so many seconds of a run."""


class WorkerStatus(msgspec.Struct):
    """A worker of the newest session.  `cpu` in seconds."""

    place: str
    lane: str
    pid: int
    state: str
    """running, paused, ended, failed, gone."""
    executions: int
    cpu: float
    branches: int
    states: int
    restarts: int
    failure: str


class LaneStatus(msgspec.Struct):
    """A lane, in all sessions.  `cpu` in seconds; `rate`: new features a CPU second, of late."""

    lane: str
    executions: int
    operations: int
    cpu: float
    branches: int
    states: int
    restarts: int
    share: float = 0.0
    rate: float = 0.0


class SessionStatus(msgspec.Struct):
    """A run of the campaign: `programs`, `findings` were there when it began."""

    id: int
    started: float
    ended: float | None
    how: str
    active: float
    programs: int
    findings: int
    version: str


class Count(msgspec.Struct):
    """How often something was done, and how often that reached something new."""

    kind: str
    """operator, phrase, way; oracle, allowed: these earn nothing; stability: programs that were run
    again, and those that reached the same."""
    name: str
    n: int
    earned: int


class EventStatus(msgspec.Struct):
    """Something that happened; `at` in seconds since 1970."""

    at: float
    kind: str
    text: str


class Status(msgspec.Struct):
    """The JSON document of `campaign status`."""

    folder: str
    state: str
    """running, paused, stopped, or killed: it ended without a word."""
    workers: list[WorkerStatus]
    executions: int
    operations: int
    findings: int
    """Bugs: sights of the same one count once, known ones not."""
    corpus: int
    coverage: int
    """Branches and states: the best worker's of each lane, all lanes together."""
    seconds: float
    """That it has run, in all sessions."""
    executions_per_second: float
    """Of late."""
    operations_per_second: float
    quiet_seconds: float
    """Of running, since an input reached something new."""
    lanes: list[LaneStatus]
    sessions: list[SessionStatus]
    counts: list[Count]
    events: list[EventStatus]
    """The newest last."""


def read_status(folder: Path) -> Status:
    """The status.  UsageError: there is no campaign, or its database is damaged."""
    try:
        database = Database(folder, reading=True)
        try:
            return _status(folder, database)
        finally:
            database.close()
    except Damaged as error:
        text = f"{error.why}: 'difffuzz campaign run {folder}' makes it anew"
        raise UsageError(f"{folder / 'campaign.db'}: {text}") from error


def _status(folder: Path, database: Database) -> Status:
    sessions = [
        SessionStatus(**dict(row)) for row in database.rows("SELECT * FROM session ORDER BY id")
    ]
    lanes = [LaneStatus(**dict(row)) for row in database.rows(TOTALS)]
    newest = "SELECT max(rowid) FROM share GROUP BY lane"
    for row in database.rows(f"SELECT lane, share, rate FROM share WHERE rowid IN ({newest})"):
        for lane in lanes:
            if lane.lane == row["lane"]:
                lane.share, lane.rate = row["share"], row["rate"]
    executions, operations = _rates(database)
    active = sum(one.active for one in sessions)
    return Status(
        folder=str(folder),
        state=_state(folder, sessions, database),
        workers=_workers(database),
        executions=sum(one.executions for one in lanes),
        operations=sum(one.operations for one in lanes),
        findings=database.one("SELECT findings FROM sample ORDER BY rowid DESC LIMIT 1") or 0,
        corpus=database.one("SELECT count(*) FROM entry WHERE dropped IS NULL"),
        coverage=sum(one.branches + one.states for one in lanes),
        seconds=round(active, 1),
        executions_per_second=executions,
        operations_per_second=operations,
        quiet_seconds=_quiet(database, sessions),
        lanes=lanes,
        sessions=sessions,
        counts=read_counts(database),
        events=read_events(database, 20),
    )


def read_counts(database: Database) -> list[Count]:
    """Operators, phrases and the like of all workers, by kind and name."""
    query = (
        "SELECT kind, name, sum(n) AS n, sum(earned) AS earned FROM counter"
        " GROUP BY kind, name ORDER BY kind, earned DESC, n DESC, name"
    )
    return [Count(**dict(row)) for row in database.rows(query)]


def read_events(database: Database, most: int) -> list[EventStatus]:
    """The newest events, in their order."""
    rows = database.rows("SELECT at, kind, text FROM event ORDER BY id DESC LIMIT ?", [most])
    return [EventStatus(**dict(row)) for row in reversed(rows)]


def _workers(database: Database) -> list[WorkerStatus]:
    """Of each place the worker that was put there last, in the newest session."""
    names = ", ".join(WorkerStatus.__struct_fields__)
    newest = "SELECT max(id) FROM worker WHERE session = (SELECT max(id) FROM session)"
    rows = database.rows(f"SELECT {names} FROM worker WHERE id IN ({newest} GROUP BY place)")
    return [WorkerStatus(**dict(row)) for row in rows]


def _rates(database: Database) -> tuple[float, float]:
    """Executions and operations a second, of late."""
    query = (
        "SELECT active, sum(executions) AS executions, sum(operations) AS operations FROM sample"
        " WHERE session = (SELECT max(id) FROM session)"
        " AND rowid > (SELECT max(rowid) FROM sample) - 1000"
        " GROUP BY active ORDER BY active DESC LIMIT 13"
    )
    rows = database.rows(query)
    rows = [one for one in rows if one["active"] >= rows[0]["active"] - RECENT_SECONDS]
    if len(rows) < 2:
        return 0.0, 0.0
    seconds = max(rows[0]["active"] - rows[-1]["active"], 0.001)
    first, last = (
        round((rows[0][name] - rows[-1][name]) / seconds, 1)
        for name in ("executions", "operations")
    )
    return first, last


def _quiet(database: Database, sessions: list[SessionStatus]) -> float:
    """Running time since the newest entry with new features."""
    last = database.one("SELECT max(at) FROM entry WHERE features > 0") or 0.0
    quiet = 0.0
    for one in sessions:
        end = one.ended or min(time.time(), one.started + one.active)
        quiet += max(0.0, end - max(one.started, last))
    return round(quiet, 1)


def _state(folder: Path, sessions: list[SessionStatus], database: Database) -> str:
    if not is_locked(folder):
        return "killed" if sessions and sessions[-1].ended is None else "stopped"
    if database.one("SELECT 1 FROM worker WHERE state = 'paused' LIMIT 1"):
        return "paused"
    return "running"
