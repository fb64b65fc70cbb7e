# SPDX-License-Identifier: GPL-2.0-only
"""Compares strategies by how many schedules they take to show the bugs of SCTBench's CS programs.

Prints a table with the published figures of other tools beside ours, or with --json a list of
documents: program, strategy, trials, found, mean_schedules of those that found the bug.
"""

from __future__ import annotations

import argparse
import json

from ...errors import UsageError
from ...script import end, note
from .programs import PROGRAMS
from .table import Row, table
from .trial import STRATEGIES, trial


def main() -> int:
    """Runs everything, or what is named."""
    parser = argparse.ArgumentParser(prog="scripts/bench-schedules", description=__doc__)
    parser.add_argument("--programs", help="names, with commas between (default: all)")
    parser.add_argument(
        "--strategies", help="names, with commas between (default: all); random is always run"
    )
    parser.add_argument("--seeds", type=int, default=20, help="trials of each (default: 20)")
    parser.add_argument(
        "--schedules", type=int, default=10_000, help="at most, in a trial (default: 10,000)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    args = parser.parse_args()
    if args.seeds < 1 or args.schedules < 1:
        raise UsageError("--seeds and --schedules: at least 1 is needed")
    programs = _named(args.programs, tuple(PROGRAMS), "program")
    strategies = _named(args.strategies, STRATEGIES, "strategy")
    if "random" not in strategies:
        strategies.append("random")
    rows: list[Row] = []
    for program in programs:
        for strategy in strategies:
            row = measure(program, strategy, args.seeds, args.schedules)
            rows.append(row)
            note(f"{program} {strategy}: {row.found} of {row.trials}, {row.mean_schedules:.1f}")
    if args.json:
        print(json.dumps([row._asdict() for row in rows], indent=2))
    else:
        print(table(rows, args.schedules))
    return 0


def measure(program: str, strategy: str, seeds: int, schedules: int) -> Row:
    """Trials with the seeds from 0 on."""
    counts = [trial(program, strategy, seed, schedules) for seed in range(seeds)]
    found = [count for count in counts if count]
    mean = sum(found) / len(found) if found else 0.0
    return Row(program, strategy, seeds, len(found), mean)


def _named(text: str | None, known: tuple[str, ...], kind: str) -> list[str]:
    """The names in an option."""
    if text is None:
        return list(known)
    names = text.split(",")
    for name in names:
        if name not in known:
            raise UsageError(f"no {kind} is called {name!r}: {', '.join(known)}")
    return names


if __name__ == "__main__":
    end("bench-schedules", main)
