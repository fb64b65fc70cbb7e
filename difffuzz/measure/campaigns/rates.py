# SPDX-License-Identifier: GPL-2.0-only
"""What a second worker is worth to a campaign, what the campaign itself costs, and the same on Ray.

Each line is a campaign of its own, of the same length; ratios are of one run of this script.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...campaign.config import write_config
from ...campaign.status import Status, read_status
from ...fuzz.standstill import cpu_seconds
from ...script import end, note

LANE = "lockstep"
"""One lane for all, so that all do the same."""


class Rate(NamedTuple):
    """Of one campaign.  `own`: of the time on a CPU, what the supervisor took."""

    name: str
    executions: int
    per_second: float
    own: float


def measure(name: str, jobs: int, seconds: float, fleet: str) -> Rate:
    """Runs a campaign for so long.  Executions count from the first one."""
    with tempfile.TemporaryDirectory(prefix="difffuzz-rates-") as directory:
        folder = Path(directory) / "campaign"
        path = write_config(folder)
        text = path.read_text()
        path.write_text(text[: text.index('[[lane]]\nname = "concurrent"')])
        command = [sys.executable, "-m", "difffuzz", "campaign", "run", str(folder)]
        command += ["--jobs", str(jobs), "--time", str(seconds), "--fleet", fleet, "--json"]
        own = 0.0
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            while process.poll() is None:
                own = max(own, cpu_seconds(process.pid))
                time.sleep(0.2)
        status = read_status(folder)
    return _rate(name, status, own)


def _rate(name: str, status: Status, own: float) -> Rate:
    workers = sum(one.cpu for one in status.lanes)
    return Rate(
        name,
        status.executions,
        status.executions / max(status.seconds, 0.001),
        own / max(own + workers, 0.001),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(prog="scripts/bench-campaign", description=__doc__)
    parser.add_argument("--time", type=float, default=120.0, help="seconds of each campaign")
    parser.add_argument("--no-ray", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    plans = [("one worker", 1, "local"), ("two workers", 2, "local")]
    if not options.no_ray:
        plans.append(("two workers on Ray", 2, "ray"))
    found = []
    for name, jobs, fleet in plans:
        note(f"{name}: {options.time:.0f} s")
        found.append(measure(name, jobs, options.time, fleet))
    if options.json:
        print(msgspec.json.encode([one._asdict() for one in found]).decode())
        return 0
    print("| campaign | executions | a second | against one worker | its own work |")
    print("|---|---|---|---|---|")
    for one in found:
        ratio = one.per_second / max(found[0].per_second, 0.001)
        print(
            f"| {one.name} | {one.executions:,} | {one.per_second:,.0f} | {ratio:.2f}"
            f" | {one.own:.1%} |"
        )
    return 0


if __name__ == "__main__":
    end("scripts/bench-campaign", main)
