# SPDX-License-Identifier: GPL-2.0-only
"""Published figures of other tools on these programs: published.csv, which names its source."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

PUBLISHED = Path(__file__).with_name("published.csv")


class Figure(NamedTuple):
    """Of `trials`, so many found the bug, after so many schedules on the average (0: none did)."""

    trials: int
    found: int
    mean: float


def published() -> dict[str, dict[str, Figure]]:
    """For each method, by its name, the figure of each program."""
    methods: dict[str, dict[str, Figure]] = {}
    with PUBLISHED.open(newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            mean = float(row["mean_schedules_of_those_that_found"] or 0)
            figure = Figure(int(row["trials"]), int(row["found"]), mean)
            methods.setdefault(row["method"], {})[row["program"]] = figure
    return methods
