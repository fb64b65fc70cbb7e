# SPDX-License-Identifier: GPL-2.0-only
"""The figures of one worker, its restarts included."""

from __future__ import annotations

import msgspec

from ..fuzz.findings import Finding
from ..fuzz.news import News
from ..fuzz.operators import OperatorStats
from ..fuzz.process import WorkerProcess
from ..fuzz.stats import together


class Tally(msgspec.Struct):
    """Figures since the worker was put in its lane; `news`: since the last time."""

    place: str
    """Where it works: "0" on this machine, "NODE/0" on another."""
    number: int
    """Of all workers of that machine in this run."""
    lane: str
    pid: int = 0
    state: str = "running"
    """running, paused; ended, failed: these are its last figures."""
    failure: str = ""
    executions: int = 0
    operations: int = 0
    cpu: float = 0.0
    branches: int = 0
    states: int = 0
    skipped: int = 0
    restarts: int = 0
    operators: dict[str, OperatorStats] = {}
    phrases: dict[str, OperatorStats] = {}
    ways: dict[str, OperatorStats] = {}
    oracles: dict[str, int] = {}
    allowed: dict[str, int] = {}
    repeated: int = 0
    unstable: int = 0
    findings: list[Finding] = []
    news: list[News] = []

    @property
    def over(self) -> bool:
        """There is no such process any more."""
        return self.state in ("ended", "failed")


def tally_of(process: WorkerProcess, place: str, number: int, lane: str) -> Tally:
    """The sum of what the process and those before it have written."""
    figures = together(process.stats())
    return Tally(
        place=place,
        number=number,
        lane=lane,
        pid=process.pid,
        executions=figures.executions,
        operations=figures.operations,
        cpu=figures.cpu_seconds,
        branches=figures.branches,
        states=figures.states,
        skipped=figures.skipped,
        restarts=process.restarts,
        operators=figures.operators,
        phrases=figures.phrases,
        ways=figures.ways,
        oracles=figures.oracles,
        allowed=figures.allowed,
        repeated=figures.repeated,
        unstable=figures.unstable,
        findings=figures.findings,
    )
