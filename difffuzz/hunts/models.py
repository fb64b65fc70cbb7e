# SPDX-License-Identifier: GPL-2.0-only
"""Bugs in the models: how each is hunted, and its judge."""

from __future__ import annotations

from ..running.policy import FUZZ_STEPS
from ..running.runner import Runner
from ..variants.catalogue import Bug
from .judge import Judge
from .row import Row


def mode_of(bug: Bug) -> str:
    """How the bug is hunted."""
    return "concurrent" if bug.concurrent else "lockstep"


def pagings_of(bug: Bug) -> tuple[str, ...]:
    """The paging modes of its guests: with the TDP MMU enabled there are no nonpaging ones."""
    tdp = any(side.startswith("tdp") for side in bug.plain_sides())
    return ("tdp",) if tdp else ("tdp", "nonpaging")


def judge_of(bug: Bug, row: Row) -> Judge:
    """The judge of a bug, whose runner searches some schedules as the fuzzer does."""
    run = Runner(*bug.sides(row.kernel), mode_of(bug), FUZZ_STEPS, explores=True)
    return Judge(run, bug.plain_sides(row.kernel))
