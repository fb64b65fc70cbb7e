# SPDX-License-Identifier: GPL-2.0-only
"""How soon each bug of the catalogue is found: difffuzz, parts of it left out, and baselines.

A run is one bug, one method, one seed, in a process of its own, until the bug is found or its
budget of time on a CPU is spent: 60 s for a lockstep bug, 300 s for one that needs concurrency.
difffuzz, and what leaves a part of it out, start from the general corpus without the bug's own
program.  Runs that are in OUT/runs.jsonl are not repeated, so that one can stop and go on; with
--longer those are that found nothing within a smaller budget.  Delete that file for a new start,
and name another OUT for another kernel.  Prints one JSON document; OUT/survival.svg shows the share
of bugs not yet found over executions (with matplotlib: pip install '.[bench]').
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path

from ...errors import UsageError
from ...script import end, note
from ...sides import open_side
from ...variants.catalogue import DIRECTORY, PLANTED, Bug, catalogue, find
from ..kernel import fetched_tree, patched_bugs
from ..methods import METHODS, check
from .picture import draw
from .runs import keep, read_runs, run_one
from .summary import summary

BUDGETS = {False: 60.0, True: 300.0}
"""Seconds on a CPU, by whether the bug needs concurrency."""


def main() -> int:
    """Runs what is missing, prints."""
    options = arguments()
    chosen = choose(options.bugs, options.kernel, options.kind, options.planted)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "runs.jsonl"
    runs = read_runs(path)
    budgets = {kind: budget * options.scale for kind, budget in BUDGETS.items()}
    short = {
        key for key, run in runs.items() if options.longer and run.budget < budgets[run.concurrent]
    }
    if any(run.kernel != options.kernel for run in runs.values()):
        raise UsageError(f"{path} has runs on another kernel: name another --out")
    if not options.report:
        if any(runs[key].budget != budgets[runs[key].concurrent] for key in runs.keys() - short):
            raise UsageError(f"{path} has runs with another budget: name another --out")
        for seed, bug, method in wanted(chosen, options.methods, options.seeds):
            key = bug.id, method, seed
            if key in runs and (runs[key].found or key not in short):
                continue
            run = run_one(bug, method, seed, budgets[bug.concurrent], options.kernel)
            runs[key] = run
            keep(run, path)
            state = "found" if run.found else "NOT FOUND"
            note(
                f"{bug.id} {method} {seed}: {state}, {run.executions} executions, "
                f"{run.cpu_seconds:.1f} s {run.signature}"
            )
    document = summary(list(runs.values()))
    print(json.dumps(document, indent=2))
    if not options.no_picture:
        draw(list(runs.values()), options.out / "survival.svg")
    return 0


def arguments() -> argparse.Namespace:
    """The options, `methods` as a list; UsageError for those that are wrong."""
    parser = argparse.ArgumentParser(prog="scripts/bench-bugs", description=__doc__)
    parser.add_argument("bugs", nargs="*", metavar="ID", help="default: all that are not held")
    parser.add_argument("--methods", help="default: all; on the model of a kernel all but native")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--kernel", default="", help="on the model of that kernel: v6.12")
    parser.add_argument("--scale", type=float, default=1.0, help="of the budgets")
    parser.add_argument(
        "--longer", action="store_true", help="repeat what found nothing within smaller budgets"
    )
    parser.add_argument("--kind", choices=("all", "lockstep", "concurrent"), default="all")
    parser.add_argument(
        "--planted", action="store_true", help="bugs put in by hand, not those of the catalogue"
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench-bugs"))
    parser.add_argument("--report", action="store_true", help="run nothing, sum up what is there")
    parser.add_argument("--no-picture", action="store_true")
    options = parser.parse_args()
    every = [one for one in METHODS if one != "native" or not options.kernel]
    options.methods = options.methods.split(",") if options.methods else every
    for method in options.methods:
        if method not in METHODS:
            raise UsageError(f"method {method!r} is not one of {', '.join(METHODS)}")
        if method == "native" and options.kernel:
            raise UsageError("--kernel is about the models: not with method 'native'")
    if options.seeds < 1 or not 0 < options.scale < math.inf:
        raise UsageError("--seeds and --scale must be positive")
    return options


def wanted(chosen: list[Bug], methods: list[str], seeds: int) -> Iterator[tuple[int, Bug, str]]:
    """Every run there is to make, seed by seed; MissingTool where a method cannot run."""
    for method in methods:
        check(method)
    patched = patched_bugs(fetched_tree()) if "native" in methods else set()
    for seed in range(1, seeds + 1):
        for bug in chosen:
            for method in methods:
                if method != "native" or bug.id in patched:
                    yield seed, bug, method


def choose(names: list[str], kernel: str, kind: str, planted: bool) -> list[Bug]:
    """The bugs of these names, or all, of a kind, that can be hunted on that kernel's model.

    No method delays stores: what needs that is not among all.
    """
    if kernel:
        open_side(f"tdp@{kernel}")
    chosen = [find(name) for name in names]
    for bug in chosen:
        bug.check_hunted(kernel)
    every = catalogue(PLANTED if planted else DIRECTORY)
    chosen = chosen or [bug for bug in every if bug.is_on(kernel) and not bug.delays]
    return [bug for bug in chosen if kind == "all" or bug.concurrent == (kind == "concurrent")]


if __name__ == "__main__":
    end("bench-bugs", main)
