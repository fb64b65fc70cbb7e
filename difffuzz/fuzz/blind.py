# SPDX-License-Identifier: GPL-2.0-only
"""A run that ran no program, or that saw nothing of what it ran, is no success.

A worker looks for itself once it made many executions (feedback.CoverageGuard); this is for runs
that end before, and for those that never begin.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import MissingTool
from .stats import Summary

FEW = 10
"""Executions: the first programs may all do next to nothing."""


def check_sight(summary: Summary, few: int = FEW) -> None:
    """MissingTool if nobody may say of a run that has ended that it found nothing.

    In fewer than `few` executions coverage need not move.  A run that found something, or that was
    interrupted, says so itself.
    """
    if summary.findings or summary.interrupted:
        return
    ran = summary.executions - summary.skipped
    if not summary.executions:
        what = f"the fuzzer did not reach its first program in {summary.seconds:.0f} s"
    elif not ran:
        what = f"none of {summary.executions} programs could be run on both sides"
    elif not summary.coverage or (ran >= few and not summary.moves):
        what = (
            f"coverage does not move: {summary.coverage} branches and states after"
            f" {summary.executions} executions, so the fuzzer is blind"
        )
    else:
        return
    log = Path(summary.out) / "work" / "worker-0.log"
    raise MissingTool(what, f"less {log}")
