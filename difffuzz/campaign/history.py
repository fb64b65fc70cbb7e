# SPDX-License-Identifier: GPL-2.0-only
"""How a campaign went: its samples, thinned to as many points as can be shown."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import msgspec

from .database import Database

POINTS: Final = 400


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
    where, values = ("AND lane = ?", [lane]) if lane else ("", [])
    span = database.rows(
        f"SELECT min(active) AS first, max(active) AS last FROM sample"
        f" WHERE active BETWEEN ? AND ? {where}",
        [begin, end, *values],
    )[0]
    if span["first"] is None:
        return []
    width = max((span["last"] - span["first"]) / points, 0.001)
    # The last sample of each stretch of time stands for it.
    query = f"""
    SELECT max(at) AS at, active, session, sum(executions) AS executions,
        sum(operations) AS operations, sum(branches) AS branches, sum(states) AS states,
        max(corpus) AS corpus, max(findings) AS findings
    FROM sample WHERE active IN (
        SELECT max(active) FROM sample WHERE active BETWEEN ? AND ? {where}
        GROUP BY CAST((active - ?) / ? AS INTEGER)
    ) {where} GROUP BY active ORDER BY active
    """
    rows = database.rows(query, [begin, end, *values, span["first"], width, *values])
    found = [Point(coverage=row["branches"] + row["states"], **dict(row)) for row in rows]
    for before, one in pairwise(found):
        seconds = max(one.active - before.active, 0.001)
        one.executions_per_second = round((one.executions - before.executions) / seconds, 1)
        one.operations_per_second = round((one.operations - before.operations) / seconds, 1)
    return found
