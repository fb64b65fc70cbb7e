# SPDX-License-Identifier: GPL-2.0-only
"""What a fuzzing run is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MAX_JOBS = 256
MEMORY_MB = 4096
"""What a worker may have."""


@dataclass(frozen=True, slots=True)
class FuzzOptions:
    """What to fuzz and for how long; time and runs both None: until interrupted."""

    left: str = "legacy"
    right: str = "tdp"
    mode: str = "portfolio"
    time: float | None = None
    """Seconds."""
    runs: int | None = None
    """Executions of all workers together."""
    seed: int | None = None
    corpus: Path | None = None
    out: Path = Path("out")
    jobs: int = 1
    stop_on_finding: bool = False
    patience: float | None = None
    """Seconds after `time` in which all has to be over, shrinking too; None: each has its own."""
    keeps_corpus: bool = True
    """A later run in `out` goes on with the corpus of this one, as this one does."""
    cpu_seconds: float = 0.0
    """Time on a CPU that each worker may take; 0: no limit."""
    memory_mb: int = MEMORY_MB
    """That a worker may have."""
    searching: bool = False
    """Most of the time goes into schedules of small programs."""
    shared: bool = False
    """Others add to the corpus meanwhile, however many jobs this run has."""
    sweeps: bool = False
    """A share of the time goes into all schedules that depart once (sweeps.py)."""
    delays: bool = False
    """Stores may be delayed, as on x86, in half of the runs whose threads run at once."""
    without: tuple[str, ...] = ()
    """Parts of the fuzzer to leave out, to measure what they are worth: see target.PARTS."""

    @property
    def work(self) -> Path:
        """What is of this run only: it is made anew each time."""
        return self.out / "work"

    @property
    def kept(self) -> Path:
        """Where libFuzzer keeps what is worth it."""
        return (self.out if self.keeps_corpus else self.work) / "corpus"
