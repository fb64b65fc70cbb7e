# SPDX-License-Identifier: GPL-2.0-only
"""Hunts known bugs in the kernel's own code, each brought back by a patch; prints a table.

For each harness/native/patches/ID.toml the kernel's MMU code is built with and without the patch,
and fuzzed from the general corpus: its two MMUs against each other, then each MMU that has the bug
against the model.  What the same program shows without the patch, too, is not the bug.  The exit
status is 1 if a bug was not found.

--litmus runs the catalogue's program instead of the fuzzer: one that needs a schedule under many.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import msgspec

from ..fuzz.options import FuzzOptions
from ..fuzz.parent import fuzz
from ..native.tree import open_tree
from ..running.runner import Runner
from ..script import end
from ..shipped import CORPUS
from ..variants.catalogue import Bug
from .judge import Judge
from .kernel import (
    MODELS,
    build_plain,
    build_with,
    chosen,
    fetched_tree,
    is_race,
    mode_of,
    plain_pair,
    sides,
)
from .litmus import litmus
from .row import Row

COLUMNS = "{:<13} {:<5} {:<42} {:<6} {:>9} {:>8}  {}"
FIELDS = "id", "path", "left", "right", "found", "executions", "seconds", "signature", "program"


def hunt(bug: Bug, row: Row, judge: Judge, options: argparse.Namespace) -> None:
    """Fuzz until the bug is found."""
    with tempfile.TemporaryDirectory(prefix="difffuzz-native-bugs-") as out:
        wish = FuzzOptions(
            row.left,
            row.right,
            mode_of(bug),
            time=options.seconds,
            seed=options.seed,
            corpus=options.corpus,
            out=Path(out),
            stop_on_finding=True,
        )
        summary = fuzz(wish, accept=judge.accept)
        row.executions, row.seconds = summary.executions, summary.seconds
        # Judged again by its shrunk program: shrinking may have slipped to something else.
        for finding in filter(judge.accept, summary.findings):
            row.take_finding(finding)
            row.executions, row.seconds = finding.executions, finding.seconds
            break


def line(row: Row) -> str:
    """A row as text."""
    pair = f"{row.left} {row.right}".replace(row.id, "ID")
    found = "yes" if row.found else "NO"
    signature = row.signature.replace(row.id, "ID")
    return COLUMNS.format(
        row.id, row.path, pair, found, row.executions, f"{row.seconds:.1f}", signature
    )


def main() -> int:
    """Build, hunt, print."""
    parser = argparse.ArgumentParser(
        prog="scripts/native-bugs", description="Hunt known bugs in the kernel's own code."
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="default: all")
    parser.add_argument("--tree", type=Path, help="kernel tree; default: the fetched 6.1")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each pair of sides")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=CORPUS / "seeds")
    parser.add_argument("--no-races", action="store_true", help="leave out what needs a schedule")
    parser.add_argument("--litmus", action="store_true", help="the catalogue's programs only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows")
    options = parser.parse_args()
    tree = open_tree(options.tree) if options.tree else fetched_tree()
    bugs = chosen(options.ids, tree)
    build_plain(tree)
    rows: list[Row] = []
    print(COLUMNS.format("bug", "path", "sides", "found", "execs", "seconds", "signature"))
    for bug in bugs:
        if is_race(bug) and options.no_races:
            continue
        name = build_with(bug, tree)
        for pair in sides(bug, name, MODELS.get(tree.series, "")):
            row = Row(
                id=bug.id,
                method="litmus" if options.litmus else "native",
                seed=options.seed,
                concurrent=bug.concurrent,
                budget=0.0,
                path=bug.path + (" C" if is_race(bug) else ""),
                left=pair[0],
                right=pair[1],
            )
            judge = Judge(Runner(*pair, mode_of(bug)), plain_pair(pair, name))
            if options.litmus:
                litmus(bug, row, judge, options.seconds)
            else:
                hunt(bug, row, judge, options)
            rows.append(row)
            print(line(row), flush=True)
            if options.json is not None:
                document = [one.facts(*FIELDS) for one in rows]
                options.json.write_bytes(msgspec.json.format(msgspec.json.encode(document)))
            if row.found:
                break
    hunted = {row.id for row in rows}
    found = {row.id for row in rows if row.found}
    print(f"{len(found)} of {len(hunted)} found")
    return 0 if found == hunted else 1


if __name__ == "__main__":
    end("native-bugs", main)
