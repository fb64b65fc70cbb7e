# SPDX-License-Identifier: GPL-2.0-only
"""A run that does not run is no success: a worker that is busy with one program without end.

The watchdog (running/watchdog.py) ends each program after a while; this is for where it cannot.
All times are of a CPU, so that a loaded machine does not fake it.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..running.watchdog import HANG_SECONDS
from .stats import WorkerStats

BUSY_SECONDS = 5 * HANG_SECONDS
"""More than a program takes that hangs wherever it can: on the player, in the engine, in walks."""
SLOWER = 100
"""So many times what programs took before is no slow program, but a standstill."""


LEAST_SECONDS = 5.0
"""At the end of a run, what is shorter may be a slow program."""


def cpu_seconds(pid: int) -> float:
    """Time that the process has spent on a CPU; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_seconds(pid: int, stats: WorkerStats) -> float:
    """How long a worker has been busy since it told its figures."""
    return cpu_seconds(pid) - stats.cpu_seconds


def stands_still(busy: float, stats: WorkerStats) -> bool:
    """Has it been busy with one program for far longer than with all that came before?"""
    return busy > BUSY_SECONDS and busy > SLOWER * stats.cpu_seconds / max(stats.executions, 1)


def did_nothing_else(busy: float, stats: WorkerStats) -> bool:
    """The same of a worker that does not end when it is told to: what it ran before is next to
    nothing, or took less than the one program that it is busy with."""
    if not busy:
        return False
    before = stats.cpu_seconds - stats.start_cpu_seconds
    return stats.executions <= 1 or busy > max(before, LEAST_SECONDS)
