# SPDX-License-Identifier: GPL-2.0-only
"""How a campaign went: its samples, thinned to as many points as can be shown."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import msgspec

from .database import Database

POINTS: Final = 400
_LANES: Final = """
WITH RECURSIVE each (lane) AS (
    SELECT min(lane) FROM sample
    UNION ALL SELECT (SELECT min(lane) FROM sample WHERE lane > each.lane) FROM each
    WHERE each.lane IS NOT NULL
) SELECT lane FROM each WHERE lane IS NOT NULL
"""
"""Steps from one to the next in the index, where DISTINCT would read all of it."""
_AT: Final = """
SELECT max(at) AS at, active, session, sum(executions) AS executions,
    sum(operations) AS operations, sum(branches) AS branches, sum(states) AS states,
    max(corpus) AS corpus, max(findings) AS findings
FROM sample WHERE lane IN (SELECT value FROM json_each(?))
    AND active IN (SELECT value FROM json_each(?))
GROUP BY active ORDER BY active
"""


class Point(msgspec.Struct):
    """A moment.  `active`: seconds of running until then; rates are since the point before."""

    at: float
    active: float
    session: int
    executions: int
    operations: int
    coverage: int
    """Branches and states of all lanes together."""
    branches: int
    states: int
    corpus: int
    findings: int
    executions_per_second: float = 0.0
    operations_per_second: float = 0.0


def read_history(
    database: Database, lane: str = "", begin: float = 0.0, end: float = 1e18, points: int = POINTS
) -> list[Point]:
    """The campaign's points, or those of a lane, between two times of running, the first first."""
    lanes = [lane] if lane else _lanes(database)
    times = sorted({at for one in lanes for at in _times(database, one, begin, end, points)})
    rows = database.rows(_AT, [msgspec.json.encode(lanes).decode(), msgspec.json.encode(times)])
    found = [Point(coverage=row["branches"] + row["states"], **dict(row)) for row in rows]
    for before, one in pairwise(found):
        seconds = max(one.active - before.active, 0.001)
        one.executions_per_second = round((one.executions - before.executions) / seconds, 1)
        one.operations_per_second = round((one.operations - before.operations) / seconds, 1)
    return found


def _lanes(database: Database) -> list[str]:
    return [str(row["lane"]) for row in database.rows(_LANES)]


def _times(database: Database, lane: str, begin: float, end: float, points: int) -> list[float]:
    """The last sample of each stretch of time stands for it; each is found by the index."""
    between = "FROM sample WHERE lane = ? AND active BETWEEN ? AND ?"
    first = database.one(f"SELECT min(active) {between}", [lane, begin, end])
    last = database.one(f"SELECT max(active) {between}", [lane, begin, end])
    if first is None:
        return []
    width = max((last - first) / points, 0.001)
    edges = [first + number * width for number in range(1, points)] + [last]
    found: list[float] = []
    for edge in edges:
        at = database.one(f"SELECT max(active) {between}", [lane, first, edge])
        if not found or at > found[-1]:
            found.append(at)
    return found
