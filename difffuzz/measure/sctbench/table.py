# SPDX-License-Identifier: GPL-2.0-only
"""Our figures beside published ones, as text: mean schedules, and how many trials found the bug."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, log
from typing import NamedTuple

from .published import published


class Row(NamedTuple):
    """Of a program under a strategy; the mean is of those trials that found the bug."""

    program: str
    strategy: str
    trials: int
    found: int
    mean_schedules: float


def table(rows: Sequence[Row], schedules: int) -> str:
    """A line for each program; the last two say how many trials found, and the geometric mean of
    the programs' means, with `schedules` for one that nobody found: a lower bound then."""
    theirs = [
        Row(program, method, one.trials, one.found, one.mean)
        for method, figures in published().items()
        for program, one in figures.items()
    ]
    programs = list(dict.fromkeys(row.program for row in rows))
    everything = [*rows, *(row for row in theirs if row.program in programs)]
    columns = list(dict.fromkeys(row.strategy for row in everything))
    cells = {(row.program, row.strategy): row for row in everything}
    width = max(18, *map(len, programs))
    lines = ["".join([f"{'':{width}}", *(f"{name:>22}" for name in columns)])]
    for program in programs:
        texts = [_cell(cells[program, name]) for name in columns]
        lines.append("".join([f"{program:{width}}", *(f"{text:>22}" for text in texts)]))
    sums = [_sum([cells[program, name] for program in programs]) for name in columns]
    lines.append("".join([f"{'found':{width}}", *(f"{text:>22}" for text in sums)]))
    means = [
        _geometric(cells[program, name].mean_schedules or schedules for program in programs)
        for name in columns
    ]
    lines.append("".join([f"{'geometric mean':{width}}", *(f"{mean:>22.2f}" for mean in means)]))
    return "\n".join(lines)


def _cell(row: Row) -> str:
    if not row.found:
        return "-"
    text = f"{row.mean_schedules:.1f}"
    return text if row.found == row.trials else f"{text} ({row.found}/{row.trials})"


def _sum(rows: list[Row]) -> str:
    return f"{sum(row.found for row in rows)}/{sum(row.trials for row in rows)}"


def _geometric(values: Iterable[float]) -> float:
    numbers = [log(value) for value in values]
    return exp(sum(numbers) / len(numbers))
