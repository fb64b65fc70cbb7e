# SPDX-License-Identifier: GPL-2.0-only
"""Method: the generator's programs, one after the other, with nothing learned."""

from __future__ import annotations

from ...fuzz.stream import stream
from ...variants.catalogue import Bug
from ..models import judge_of, pagings_of
from ..row import Row


def hunt(bug: Bug, row: Row) -> None:
    """Programs from nothing until one shows the bug."""
    judge = judge_of(bug, row)
    for made in stream(row.seed, pagings_of(bug), concurrent=bug.concurrent):
        if row.over:
            return
        row.take(judge.shown(made.program))
