# SPDX-License-Identifier: GPL-2.0-only
"""Method: the fuzzer, whole or without a part of it, from the general corpus."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from ...fuzz.options import FuzzOptions
from ...fuzz.parent import fuzz
from ...variants.catalogue import Bug
from ..general_corpus import general_corpus
from ..judge import Judge
from ..models import judge_of, mode_of
from ..row import Row

WITHOUT: dict[str, tuple[str, ...]] = {
    "raw-bytes": ("mutator",),
    "no-states": ("states",),
}
"""By method: the parts of the fuzzer that it leaves out."""
GRACE = 3.0
"""Times as long on the clock as on a CPU a run may take."""


def hunt(bug: Bug, row: Row) -> None:
    """On the models."""
    fuzz_for(bug, row, judge_of(bug, row))


def fuzz_for(bug: Bug, row: Row, judge: Judge) -> None:
    """Fuzzes the judge's sides with the rest of the row's budget."""
    budget = row.budget - row.cpu_seconds
    with tempfile.TemporaryDirectory(prefix="difffuzz-bench-") as work:
        options = FuzzOptions(
            judge.run.left,
            judge.run.right,
            mode_of(bug),
            time=budget * GRACE,
            seed=row.seed,
            corpus=general_corpus([bug], row.kernel, Path(work) / "general"),
            out=Path(work) / "out",
            stop_on_finding=True,
            without=WITHOUT.get(row.method, ()),
            cpu_seconds=budget,
        )
        summary = fuzz(options, accept=judge.accept)
        spent = summary.executions, summary.cpu_seconds
        for first in summary.findings[:1]:
            row.take_finding(first)
            spent = first.executions, first.cpu_seconds
    row.executions += spent[0]
    row.worker_seconds += spent[1]
    row.cpu_seconds = round(time.process_time() + row.worker_seconds, 3)
