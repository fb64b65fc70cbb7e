# SPDX-License-Identifier: GPL-2.0-only
"""A campaign on a model with ten bugs at once: does it find each, and tell them apart?

A finding belongs to the bugs without which its program does not show it any more: one patch at a
time is left out.  Where several show it alike, it belongs to each that shows it alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ...campaign.config import FILE, write_config
from ...campaign.database import FILE as DATABASE
from ...running.runner import Runner
from ...script import end, note
from ...triage.record import Record, State
from ...triage.store import Store

BUGS = (
    "0f38453cdb2e",
    "1b2dc7360463",
    "1f4e5fc83a42",
    "b3e6212dea2e",
    "own-notifier-skips-smm",
    "own-fast-fault-huge-dirty",
    "fcb93eb6d09d",
    "6d3085e4d89a",
    "fb25ee778aae",
    "f5d16bb9be68",
)
"""They apply to one model together; seven show one operation at a time, three in races only."""


class Attribution:
    """Which of the bugs a finding shows."""

    def __init__(self, bugs: Sequence[str]) -> None:
        self._bugs = bugs
        self._runners: dict[tuple[str, ...], dict[str, Runner]] = defaultdict(dict)

    def bugs_of(self, record: Record) -> list[str]:
        """Empty: it does not show again, or only where several are there together."""
        if not self._shows(record, self._bugs):
            return []
        needed = [
            bug
            for bug in self._bugs
            if not self._shows(record, [one for one in self._bugs if one != bug])
        ]
        return needed or [bug for bug in self._bugs if self._shows(record, [bug])]

    def _shows(self, record: Record, bugs: Sequence[str]) -> bool:
        runners = self._runners[tuple(bugs)]
        if record.mode not in runners:
            left, right = ("+".join([base, *bugs]) for base in ("legacy", "tdp"))
            runners[record.mode] = Runner(left, right, record.mode)
        found = runners[record.mode](record.parsed()).divergences
        return record.signature in {one.signature for one in found}


def run(folder: Path, seconds: float, jobs: int) -> None:
    """The campaign, in a process of its own."""
    path = write_config(folder)
    text = path.read_text().replace("time = 0.0", f"time = {seconds}")
    text = text.replace("jobs = 2", f"jobs = {jobs}")
    for base in ("legacy", "tdp"):
        text = text.replace(f'"{base}"', f'"{"+".join([base, *BUGS])}"')
    path.write_text(text)
    command = [sys.executable, "-m", "difffuzz", "campaign", "run", str(folder)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 1: a bug was not found."""
    parser = argparse.ArgumentParser(prog="scripts/campaign-bugs", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help=f"a new folder, or one with {FILE}")
    parser.add_argument("--time", type=float, default=3600.0, help="seconds")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    if not (options.out / DATABASE).exists():
        run(options.out, options.time, options.jobs)
    with Store(options.out) as store:
        records = [one for one in store.all() if one.state is not State.KNOWN]
    attribution = Attribution(BUGS)
    sights: dict[str, list[Record]] = defaultdict(list)
    for number, record in enumerate(records):
        note(f"{number + 1} of {len(records)}: {record.signature}")
        for bug in attribution.bugs_of(record) or ["-"]:
            sights[bug].append(record)
    print("| bug | sights | operations | smallest reproducer | signature |")
    print("|---|---|---|---|---|")
    for bug in (*BUGS, "-"):
        mine = sorted(sights[bug], key=lambda one: (len(one.parsed().ops), len(one.program)))
        if mine:
            best = mine[0]
            figures = f"{len(mine)} | {len(best.parsed().ops)}"
            print(f"| {bug} | {figures} | {best.id} | `{best.signature}` |")
        elif bug != "-":
            print(f"| {bug} | 0 | | | not found |")
    missed = [bug for bug in BUGS if not sights[bug]]
    print(f"{len(BUGS) - len(missed)} of {len(BUGS)} bugs found, {len(records)} findings")
    return 1 if missed else 0


if __name__ == "__main__":
    end("scripts/campaign-bugs", main)
