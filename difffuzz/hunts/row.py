# SPDX-License-Identifier: GPL-2.0-only
"""A row of every table of hunts: one bug, hunted once."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from ..fuzz.findings import Finding


class Row(msgspec.Struct, kw_only=True):
    """A hunt and its outcome.  Not found: the figures are what was spent."""

    id: str = msgspec.field(name="bug")
    """The bug's, upstream's."""
    method: str
    """One of methods.METHODS; "litmus": the catalogue's program."""
    seed: int
    concurrent: bool
    """It needs concurrency, or a parked fault."""
    budget: float
    """Seconds on a CPU; 0: no limit."""
    path: str = ""
    """Which MMU has it, T, L or B, and C if it needs a schedule; of hunts in the kernel's code."""
    kernel: str = ""
    """On the model of that kernel, else on the base."""
    left: str = ""
    right: str = ""
    found: bool = False
    executions: int = 0
    seconds: float = 0.0
    """On the clock."""
    cpu_seconds: float = 0.0
    worker_seconds: float = 0.0
    """Of `cpu_seconds`, what processes of the fuzzer took."""
    oracle: str = ""
    signature: str = ""
    program: str = ""
    """Text form of a program that shows it, if the hunt keeps it."""

    @property
    def over(self) -> bool:
        """Found, or the budget is spent."""
        return self.found or self.cpu_seconds >= self.budget

    def take(self, signature: str) -> None:
        """An execution in this process, and what it showed."""
        self.executions += 1
        self.found, self.signature = bool(signature), signature
        self.cpu_seconds = round(time.process_time(), 3)

    def take_finding(self, finding: Finding) -> None:
        """What a fuzzing run found; its file is read as it is now."""
        self.found, self.signature, self.oracle = True, finding.signature, finding.oracle
        self.program = Path(finding.program).read_text()

    def facts(self, *names: str) -> dict[str, object]:
        """Some fields, by name."""
        return {name: getattr(self, name) for name in names}
