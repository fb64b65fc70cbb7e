# SPDX-License-Identifier: GPL-2.0-only
"""Writes what workers have done into the database: figures, counts by name, samples over time."""

from __future__ import annotations

import time
from typing import Final

from .. import __version__
from ..fuzz.operators import OperatorStats
from .database import Database
from .lane_shares import LaneShares
from .tally import Tally

TOTALS: Final = """
SELECT lane, sum(executions) AS executions, sum(operations) AS operations, sum(cpu) AS cpu,
    max(branches) AS branches, max(states) AS states, sum(restarts) AS restarts
FROM worker GROUP BY lane ORDER BY lane
"""
"""Of each lane, in all sessions."""
_FIGURES: Final = (
    "pid",
    "state",
    "executions",
    "operations",
    "cpu",
    "branches",
    "states",
    "skipped",
    "restarts",
    "failure",
)
"""Of a Tally, as the table of workers has them."""

_NOBODY: Final = {
    "lane": "",
    "executions": 0,
    "operations": 0,
    "cpu": 0.0,
    "branches": 0,
    "states": 0,
}


class Ledger:
    """Of one session."""

    def __init__(self, database: Database, programs: int, findings: int) -> None:
        """`programs`, `findings`: what was there when it began."""
        self._database = database
        self._began = time.monotonic()
        self._before = float(database.one("SELECT total(active) FROM session"))
        self.session = database.put(
            "session",
            started=time.time(),
            ended=None,
            how="running",
            active=0.0,
            programs=programs,
            findings=findings,
            version=__version__,
        )
        database.run("UPDATE worker SET state = 'gone' WHERE state IN ('running', 'paused')")
        self._rows: dict[tuple[str, int], int] = {}
        self._homes: dict[str, int] = {}
        """Of each lane the worker that has the counters of those who are over."""
        self._over: set[tuple[str, int]] = set()

    @property
    def active(self) -> float:
        """Seconds that the campaign has run, in all its sessions."""
        return self._before + time.monotonic() - self._began

    def write(self, tallies: list[Tally]) -> None:
        """The newest figures of these workers."""
        with self._database.together():
            for one in tallies:
                self._worker(one)
            self._database.run(
                "UPDATE session SET active = ? WHERE id = ?",
                [time.monotonic() - self._began, self.session],
            )
        for one in tallies:
            if one.over:
                key = one.place, one.number
                self._over.add(key)
                self._homes.setdefault(one.lane, self._rows[key])

    def sample(self, corpus: int, findings: int) -> None:
        """A point of each lane's history."""
        at, active = time.time(), self.active
        rows = [dict(row) for row in self._database.rows(TOTALS)] or [_NOBODY]
        with self._database.together():
            for row in rows:
                self._database.put(
                    "sample",
                    session=self.session,
                    at=at,
                    active=active,
                    lane=row["lane"],
                    executions=row["executions"],
                    operations=row["operations"],
                    cpu=row["cpu"],
                    branches=row["branches"],
                    states=row["states"],
                    corpus=corpus,
                    findings=findings,
                )

    def shares(self, portfolio: LaneShares) -> None:
        """How the time is divided now, and why."""
        shares = portfolio.shares()
        with self._database.together():
            for lane, account in portfolio.accounts.items():
                self._database.put(
                    "share",
                    active=self.active,
                    lane=lane,
                    share=shares[lane],
                    rate=account.rate,
                    cpu=account.cpu,
                )

    def end(self, how: str) -> None:
        """The session is over."""
        self._database.run(
            "UPDATE session SET ended = ?, how = ?, active = ? WHERE id = ?",
            [time.time(), how, time.monotonic() - self._began, self.session],
        )

    def _worker(self, one: Tally) -> None:
        key = one.place, one.number
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = self._database.put(
                "worker",
                session=self.session,
                place=one.place,
                lane=one.lane,
                started=time.time(),
                **{name: getattr(one, name) for name in _FIGURES},
            )
        values = {name: getattr(one, name) for name in _FIGURES}
        marks = ", ".join(f"{name} = ?" for name in values)
        self._database.run(f"UPDATE worker SET {marks} WHERE id = ?", [*values.values(), row])
        if key in self._over:
            return  # its counters may have moved
        self._database.db.executemany(
            "INSERT OR REPLACE INTO counter VALUES (?, ?, ?, ?, ?)",
            [(row, kind, name, n, earned) for kind, name, n, earned in _counters(one)],
        )
        home = self._homes.get(one.lane)
        if one.over and home is not None:
            self._move_counters(row, home)

    def _move_counters(self, row: int, home: int) -> None:
        """There is a new worker for every turn: there would be ever more counters to add up."""
        self._database.run(
            "INSERT INTO counter SELECT ?, kind, name, n, earned FROM counter WHERE worker = ?"
            " ON CONFLICT DO UPDATE SET n = n + excluded.n, earned = earned + excluded.earned",
            [home, row],
        )
        self._database.run("DELETE FROM counter WHERE worker = ?", [row])


def _counters(one: Tally) -> list[tuple[str, str, int, int]]:
    """Kind, name, how often, how often it was new."""
    named: dict[str, dict[str, OperatorStats]] = {
        "operator": one.operators,
        "phrase": one.phrases,
        "way": one.ways,
    }
    found = [
        (kind, name, stats.inputs, stats.earned)
        for kind, by_name in named.items()
        for name, stats in by_name.items()
    ]
    found += [("oracle", name, n, 0) for name, n in one.oracles.items()]
    found += [("allowed", name, n, 0) for name, n in one.allowed.items()]
    if one.repeated:
        found.append(("stability", "the same again", one.repeated, one.repeated - one.unstable))
    return found
