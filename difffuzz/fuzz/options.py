# SPDX-License-Identifier: GPL-2.0-only
"""What a fuzzing run is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
    cpu_seconds: float = 0.0
    """Time on a CPU that each worker may take; 0: no limit."""
    without: tuple[str, ...] = ()
    """Parts of the fuzzer to leave out, to measure what they are worth: see target.PARTS."""
