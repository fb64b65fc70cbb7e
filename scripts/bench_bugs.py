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
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median
from typing import Any

import msgspec
from bench_bugs_picture import draw
from bench_bugs_run import METHODS, Run
from native_bugs import fetched_tree, patches_for

from difffuzz.errors import MissingTool, UsageError
from difffuzz.sides import open_side
from difffuzz.variants.catalogue import Bug, catalogue, find

HERE = Path(__file__).resolve().parent
BASELINES = ("raw-bytes", "random", "uniform", "hypothesis")
BUDGETS = {False: 60.0, True: 300.0}
"""Seconds on a CPU, by whether the bug needs concurrency."""


def read_runs(path: Path) -> dict[tuple[str, str, int], Run]:
    """The runs so far, by bug, method and seed; of several the last."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    runs: dict[tuple[str, str, int], Run] = {}
    for number, line in enumerate(lines, 1):
        try:
            run = msgspec.json.decode(line, type=Run)
        except msgspec.DecodeError as error:
            raise UsageError(f"{path}:{number}: {error}") from error
        runs[run.bug, run.method, run.seed] = run
    return runs


def run_one(bug: Bug, method: str, seed: int, budget: float, kernel: str) -> Run:
    """One run in a process of its own."""
    command = [sys.executable, str(HERE / "bench_bugs_run.py"), bug.id, method]
    command += [str(seed), str(budget), kernel]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    if done.returncode:
        raise UsageError(f"{bug.id} {method}: the run ended with status {done.returncode}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Run)


def summary(runs: list[Run]) -> dict[str, Any]:
    """By bug and method: found, medians; geometric means of executions against difffuzz."""
    table: dict[str, dict[str, Any]] = defaultdict(dict)
    grouped: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        grouped[run.bug, run.method].append(run)
    for (bug, method), group in sorted(grouped.items()):
        table[bug]["concurrent"] = group[0].concurrent
        table[bug][method] = {
            "found": sum(run.found for run in group),
            "runs": len(group),
            "median_executions": median(run.executions for run in group),
            "median_cpu_seconds": median(run.cpu_seconds for run in group),
        }
    return {
        "bugs": dict(table),
        "against": {
            method: against(grouped, method)
            for method in METHODS
            if method not in ("difffuzz", "native")
        },
        "only_difffuzz": sorted(
            bug
            for bug, row in table.items()
            if row.get("difffuzz", {}).get("found")
            and any(m in row for m in BASELINES)
            and not any(row[m]["found"] for m in BASELINES if m in row)
        ),
    }


def against(grouped: dict[tuple[str, str], list[Run]], method: str) -> dict[str, Any]:
    """How many times the executions and CPU seconds of difffuzz a method needs, as geometric means
    over bugs.

    A run that found nothing counts with what it spent, so that the figure is a lower bound where
    the method fails; a bug that difffuzz does not find counts against it in the same way.
    """
    pairs = [
        (group, grouped[bug, "difffuzz"])
        for (bug, name), group in grouped.items()
        if name == method and (bug, "difffuzz") in grouped
    ]
    if not pairs:
        return {"bugs": 0}
    runs = [run for (_, name), group in grouped.items() if name == method for run in group]
    return {
        "bugs": len(pairs),
        "executions_ratio": _ratio(pairs, lambda run: max(run.executions, 1)),
        "cpu_seconds_ratio": _ratio(pairs, lambda run: max(run.cpu_seconds, 0.01)),
        "found": sum(run.found for run in runs),
        "runs": len(runs),
    }


def _ratio(pairs: list[tuple[list[Run], list[Run]]], spent: Callable[[Run], float]) -> float:
    """Theirs in terms of ours, as a geometric mean."""
    logs = [[fmean(math.log(spent(run)) for run in runs) for runs in pair] for pair in pairs]
    return round(math.exp(fmean(theirs - ours for theirs, ours in logs)), 2)


def main() -> None:
    """Runs what is missing, prints."""
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
    parser.add_argument("--out", type=Path, default=Path("out/bench-bugs"))
    parser.add_argument("--report", action="store_true", help="run nothing, sum up what is there")
    parser.add_argument("--no-picture", action="store_true")
    options = parser.parse_args()
    every = [one for one in METHODS if one != "native" or not options.kernel]
    methods = options.methods.split(",") if options.methods else every
    for method in methods:
        if method not in METHODS:
            raise UsageError(f"method {method!r} is not one of {', '.join(METHODS)}")
        if method == "native" and options.kernel:
            raise UsageError("--kernel is about the models: not with method 'native'")
    if options.seeds < 1 or not 0 < options.scale < math.inf:
        raise UsageError("--seeds and --scale must be positive")
    chosen = choose(options.bugs, options.kernel)
    if options.kind != "all":
        chosen = [bug for bug in chosen if bug.concurrent == (options.kind == "concurrent")]
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "runs.jsonl"
    runs = read_runs(path)
    if any(run.kernel != options.kernel for run in runs.values()):
        raise UsageError(f"{path} has runs on another kernel: name another --out")
    budgets = {kind: budget * options.scale for kind, budget in BUDGETS.items()}

    def too_short(run: Run) -> bool:
        return options.longer and run.budget < budgets[run.concurrent]

    kept = [run for run in runs.values() if not too_short(run)]
    if not options.report and any(run.budget != budgets[run.concurrent] for run in kept):
        raise UsageError(f"{path} has runs with another budget: name another --out")
    wanted = [
        (seed, bug, method)
        for seed in range(1, options.seeds + 1)
        for bug in chosen
        for method in methods
    ]
    if options.report:
        wanted = []
    native = any(method == "native" for _, _, method in wanted)
    patched = patches_for(fetched_tree()) if native else {}
    for seed, bug, method in wanted:
        known = runs.get((bug.id, method, seed))
        if known is not None and (known.found or not too_short(known)):
            continue
        if method == "native" and bug.id not in patched:
            continue
        run = run_one(bug, method, seed, budgets[bug.concurrent], options.kernel)
        runs[run.bug, run.method, run.seed] = run
        with path.open("ab") as file:
            file.write(msgspec.json.encode(run) + b"\n")
        state = "found" if run.found else "NOT FOUND"
        print(
            f"{bug.id} {method} {seed}: {state}, {run.executions} executions, "
            f"{run.cpu_seconds:.1f} s {run.signature}",
            file=sys.stderr,
            flush=True,
        )
    all_runs = list(runs.values())
    document = summary(all_runs)
    print(json.dumps(document, indent=2))
    if not options.no_picture:
        draw(all_runs, options.out / "survival.svg")


def choose(names: list[str], kernel: str) -> list[Bug]:
    """The bugs of these names, or all, that can be hunted on the model of that kernel."""
    if kernel:
        open_side(f"tdp@{kernel}")
    chosen = [find(name) for name in names]
    for bug in chosen:
        bug.check_hunted(kernel)
    return chosen or [
        bug for bug in catalogue() if not bug.held and (not kernel or kernel in bug.kernels)
    ]


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        print(f"bench-bugs: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"bench-bugs: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except MissingTool as error:
        print(f"bench-bugs: {error}", file=sys.stderr)
        sys.exit(3)
