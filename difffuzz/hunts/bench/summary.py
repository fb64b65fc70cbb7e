# SPDX-License-Identifier: GPL-2.0-only
"""What the runs of scripts/bench-bugs come to: by bug and method, and against difffuzz."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from statistics import fmean, median

from ..methods import METHODS
from ..row import Row

BASELINES = ("raw-bytes", "random", "uniform", "hypothesis")
Groups = dict[tuple[str, str], list[Row]]
"""The runs by bug and method."""
Sums = dict[str, float]


def summary(runs: list[Row]) -> dict[str, object]:
    """By bug and method: found, medians; geometric means of executions against difffuzz."""
    table: dict[str, dict[str, bool | Sums]] = defaultdict(dict)
    grouped: Groups = defaultdict(list)
    for run in runs:
        grouped[run.id, run.method].append(run)
    for (bug, method), group in sorted(grouped.items()):
        table[bug]["concurrent"] = group[0].concurrent
        table[bug][method] = {
            "found": sum(run.found for run in group),
            "runs": len(group),
            "median_executions": median(run.executions for run in group),
            "median_cpu_seconds": median(run.cpu_seconds for run in group),
        }
    return {
        "bugs": dict(table),
        "against": {
            method: against(grouped, method)
            for method in METHODS
            if method not in ("difffuzz", "native")
        },
        "only_difffuzz": sorted(bug for bug in table if _is_only_ours(grouped, bug)),
    }


def _is_only_ours(grouped: Groups, bug: str) -> bool:
    """Does difffuzz find it, and none of the baselines that tried?"""
    tried = [grouped[bug, method] for method in BASELINES if (bug, method) in grouped]
    ours = grouped.get((bug, "difffuzz"), [])
    return (
        any(run.found for run in ours)
        and bool(tried)
        and not any(run.found for runs in tried for run in runs)
    )


def against(grouped: Groups, method: str) -> Sums:
    """How many times the executions and CPU seconds of difffuzz a method needs, as geometric means
    over bugs.

    A run that found nothing counts with what it spent, so that the figure is a lower bound where
    the method fails; a bug that difffuzz does not find counts against it in the same way.
    """
    pairs = [
        (group, grouped[bug, "difffuzz"])
        for (bug, name), group in grouped.items()
        if name == method and (bug, "difffuzz") in grouped
    ]
    if not pairs:
        return {"bugs": 0}
    runs = [run for (_, name), group in grouped.items() if name == method for run in group]
    return {
        "bugs": len(pairs),
        "executions_ratio": _ratio(pairs, lambda run: max(run.executions, 1)),
        "cpu_seconds_ratio": _ratio(pairs, lambda run: max(run.cpu_seconds, 0.01)),
        "found": sum(run.found for run in runs),
        "runs": len(runs),
    }


def _ratio(pairs: list[tuple[list[Row], list[Row]]], spent: Callable[[Row], float]) -> float:
    """Theirs in terms of ours, as a geometric mean."""
    logs = [[fmean(math.log(spent(run)) for run in runs) for runs in pair] for pair in pairs]
    return round(math.exp(fmean(theirs - ours for theirs, ours in logs)), 2)
