# SPDX-License-Identifier: GPL-2.0-only
"""Shrinks raw findings of known bugs, and compares what comes out with the catalogue's programs.

A line for each bug: how many findings of the catalogue's signature were shrunk, how many different
programs they became and how many became the most frequent one, operations and preemptions (the most
that any has, and the catalogue's), seconds of one core.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from statistics import median

import msgspec

from ..program import Program, parse, render
from ..running.runner import Runner
from ..script import end
from ..shrink.finding import shrink
from ..shrink.size import preemptions
from ..variants.catalogue import Bug, catalogue, find
from .models import mode_of
from .raw_findings import raw_findings, signature_of

COLUMNS = "{:<36} {:>8} {:>9} {:>8} {:>11} {:>12} {:>8} {:>7}"

HEADS = ("bug", "kept", "programs", "same", "operations", "preemptions", "median s", "most s")


class Result(msgspec.Struct, kw_only=True):
    """What the findings of one bug became.  Times are CPU seconds, one for each finding."""

    bug: str
    signature: str
    raw: list[int]
    """Operations of each finding."""
    programs: dict[str, int]
    """Text form of each result, and how many findings became it."""
    incomplete: int
    """Findings whose budget was over."""
    kept: int
    """Findings whose result shows the same when it is run again, as its notes say."""
    seconds: list[float]

    def row(self) -> str:
        """The line of the table."""
        bug = find(self.bug)
        hand = parse(bug.program)
        results = [parse(text) for text in self.programs]
        return COLUMNS.format(
            self.bug,
            f"{self.kept}/{len(self.raw)}",
            f"{len(results)}",
            max(self.programs.values(), default=0),
            f"{max((len(one.ops) for one in results), default=0)} ({len(hand.ops)})",
            f"{max(map(preemptions, results), default=0)} ({preemptions(hand)})",
            f"{median(self.seconds or [0]):.1f}",
            f"{max(self.seconds, default=0):.1f}",
        )


def measure(bug: Bug, findings: int, seed: int, seconds: float) -> Result:
    """Shrinks so many raw findings of a bug, each within that time."""
    signature = signature_of(bug)
    result = Result(
        bug=bug.id, signature=signature, raw=[], programs={}, incomplete=0, kept=0, seconds=[]
    )
    programs: Counter[str] = Counter()
    for program in islice(raw_findings(bug, signature, seed), findings):
        run = Runner(*bug.sides(), mode_of(bug))
        began = time.process_time()
        shrunk = shrink(run, program, signature, seconds)
        result.seconds.append(round(time.process_time() - began, 3))
        result.raw.append(len(program.ops))
        result.incomplete += not shrunk.complete
        result.kept += _shows(bug, shrunk.mode, shrunk.program, signature)
        programs[render(shrunk.program)] += 1
    result.programs = dict(programs.most_common())
    return result


def _shows(bug: Bug, mode: str, program: Program, signature: str) -> bool:
    found = Runner(*bug.sides(), mode)(parse(render(program))).divergences
    return bool(found) and found[0].signature == signature


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="scripts/minimal", description=__doc__)
    parser.add_argument("ids", nargs="*", metavar="ID", help="default: all that have a program")
    parser.add_argument("--findings", type=int, default=10, help="of each bug")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each finding")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results")
    options = parser.parse_args()
    bugs = [find(one) for one in options.ids] or [one for one in catalogue() if one.program]
    print(COLUMNS.format(*HEADS), flush=True)
    results = []
    for bug in bugs:
        results.append(measure(bug, options.findings, options.seed, options.seconds))
        print(results[-1].row(), flush=True)
        if options.json:
            options.json.write_bytes(msgspec.json.encode(results))
    return 0


if __name__ == "__main__":
    end("minimal", main)
