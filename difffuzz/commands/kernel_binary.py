# SPDX-License-Identifier: GPL-2.0-only
"""A program of user space on a booted kernel, with each MMU: what `run` and `selftest` share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..booted.reproduce import Outcome, run_binary
from ..booted.session import BOTH, Died, Session
from .output import write_text

BAD = ("not ok", "crash")
"""Verdicts that are findings."""


def run_both(
    session: Session,
    data: bytes,
    seconds: int,
    arguments: Sequence[str] = (),
    traces: tuple[Path, str] | None = None,
) -> tuple[list[dict[str, object]], list[str]]:
    """Runs it alone on its kernel, with one MMU and then the other: documents, and lines.

    `traces`: a folder for traces, and what their names begin with.
    """
    runs: list[dict[str, object]] = []
    lines: list[str] = []
    for lane in BOTH:
        try:
            outcome = run_binary(session, data, lane, seconds, arguments)
        except Died as death:
            runs.append({"mmu": lane.mmu, "verdict": "crash", "status": -1, "bad": [str(death)]})
            lines.append(f"{lane.mmu}: the kernel did not survive it: {death}")
            continue
        document = _document(outcome)
        if traces is not None:
            path = traces[0] / f"{traces[1]}-{lane.mmu}.trace"
            write_text(path, outcome.trace)
            document["trace"] = str(path)
        runs.append(document)
        lines += _lines(outcome)
    return runs, lines


def _document(outcome: Outcome) -> dict[str, object]:
    return {
        "mmu": outcome.mmu,
        "verdict": outcome.verdict,
        "status": outcome.status,
        "bad": outcome.bad,
        "output": outcome.output,
    }


def _lines(outcome: Outcome) -> list[str]:
    lines = [f"{outcome.mmu}: {outcome.verdict}", *(f"  {one}" for one in outcome.bad)]
    if outcome.verdict != "ok" and not outcome.bad:
        lines += [f"  {line}" for line in outcome.output.splitlines()[-3:]]
    return lines
