# SPDX-License-Identifier: GPL-2.0-only
"""The figures of one worker, its restarts included."""

from __future__ import annotations

import msgspec

from ..fuzz.findings import Finding
from ..fuzz.news import News
from ..fuzz.operators import OperatorStats, total_operators
from ..fuzz.process import WorkerProcess
from ..fuzz.stats import total


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
    each = process.stats()
    return Tally(
        place=place,
        number=number,
        lane=lane,
        pid=process.pid,
        executions=sum(one.executions for one in each),
        operations=sum(one.operations for one in each),
        cpu=round(sum(one.cpu_seconds for one in each), 3),
        branches=max((one.branches for one in each), default=0),
        states=max((one.states for one in each), default=0),
        skipped=sum(one.skipped for one in each),
        restarts=process.restarts,
        operators=total_operators(one.operators for one in each),
        phrases=total_operators(one.phrases for one in each),
        ways=total_operators(one.ways for one in each),
        oracles=total(one.oracles for one in each),
        allowed=total(one.allowed for one in each),
        repeated=sum(one.repeated for one in each),
        unstable=sum(one.unstable for one in each),
        findings=[finding for one in each for finding in one.findings],
    )
