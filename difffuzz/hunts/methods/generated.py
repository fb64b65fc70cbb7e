# SPDX-License-Identifier: GPL-2.0-only
"""Method: the generator's programs, one after the other, with nothing learned."""

from __future__ import annotations

from random import Random

from ...program import generate
from ...variants.catalogue import Bug
from ..models import judge_of, pagings_of
from ..row import Row


def hunt(bug: Bug, row: Row) -> None:
    """Programs from nothing until one shows the bug."""
    judge, pagings, rng = judge_of(bug, row), pagings_of(bug), Random(row.seed)
    while not row.over:
        program = generate(rng, paging=rng.choice(pagings), concurrent=bug.concurrent)
        row.take(judge.shown(program))
