# SPDX-License-Identifier: GPL-2.0-only
"""Executions until each of some hard bugs shows: the generator alone against the fuzzer.

A run is one method and one seed, in a process of its own, up to --executions; it hunts all bugs at
once (hard/bugs.py).  Runs that are in OUT/runs.jsonl are not repeated, so that one can stop and go
on.  A bug that a run did not find counts with the run's executions.  Prints one JSON document: by
bug the geometric mean of each method, and the ratios; how many bugs 1,000 executions find of those
that are still hunted, which a bug that is not found does not make too good.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

import msgspec

from ...errors import UsageError
from ...script import end, note
from .one_run import METHODS, Run


def main() -> int:
    """Runs what is missing, prints."""
    parser = argparse.ArgumentParser(prog="scripts/bench-feedback", description=__doc__)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--executions", type=int, default=4_000, help="of a run, at most")
    parser.add_argument("--out", type=Path, default=Path("out/bench-feedback"))
    options = parser.parse_args()
    methods = options.methods.split(",")
    if unknown := sorted(set(methods) - set(METHODS)):
        raise UsageError(f"method {unknown[0]!r} is not one of {', '.join(METHODS)}")
    if options.seeds < 1 or options.executions < 1:
        raise UsageError("--seeds and --executions must be positive")
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "runs.jsonl"
    runs = read_runs(path)
    if any(run.limit != options.executions for run in runs.values()):
        raise UsageError(f"{path} has runs with other --executions: name another --out")
    for seed in range(1, options.seeds + 1):
        for method in methods:
            if (method, seed) in runs:
                continue
            run = runs[method, seed] = run_one(method, seed, options.executions)
            with path.open("ab") as file:
                file.write(msgspec.json.encode(run) + b"\n")
            note(
                f"{method} {seed}: {len(run.first)} bugs in {run.executions} executions, "
                f"{run.operations} operations, {run.cpu_seconds:.0f} s"
            )
    print(json.dumps(summary(runs.values()), indent=2))
    return 0


def read_runs(path: Path) -> dict[tuple[str, int], Run]:
    """The runs so far, by method and seed."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    runs: dict[tuple[str, int], Run] = {}
    for number, line in enumerate(lines, 1):
        try:
            run = msgspec.json.decode(line, type=Run)
        except msgspec.DecodeError as error:
            raise UsageError(f"{path}:{number}: {error}") from error
        runs[run.method, run.seed] = run
    return runs


def run_one(method: str, seed: int, limit: int) -> Run:
    """One run in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="difffuzz-feedback-") as work:
        command = [sys.executable, "-m", "difffuzz.hunts.hard.one_run", method, str(seed)]
        done = subprocess.run(
            [*command, str(limit), work],
            stdout=subprocess.PIPE,
            check=False,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
    if done.returncode:
        raise UsageError(f"{method} {seed}: the run ended with status {done.returncode}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Run)


def summary(runs: Iterable[Run]) -> dict[str, object]:
    """Of the seeds that every method ran: by bug, and over all."""
    by_method: dict[str, dict[int, Run]] = {}
    for run in runs:
        by_method.setdefault(run.method, {})[run.seed] = run
    seeds = sorted(set.intersection(*(set(one) for one in by_method.values())) if by_method else ())
    chosen = {method: [one[seed] for seed in seeds] for method, one in by_method.items()}
    names = sorted({bug for each in chosen.values() for run in each for bug in run.first})
    bugs: dict[str, dict[str, float]] = {}
    for bug in names:
        logs = {
            method: fmean(math.log(run.first.get(bug, run.limit)) for run in each)
            for method, each in chosen.items()
        }
        row = bugs[bug] = {method: round(math.exp(log)) for method, log in logs.items()}
        row |= {
            f"{method} found": sum(bug in run.first for run in chosen[method]) for method in logs
        }
        if {"random", "difffuzz"} <= logs.keys():
            row["ratio"] = round(math.exp(logs["difffuzz"] - logs["random"]), 2)
    ratios = [row["ratio"] for row in bugs.values() if "ratio" in row]
    return {
        "seeds": len(seeds),
        "bugs": bugs,
        "ratio": round(math.exp(fmean(map(math.log, ratios))), 2) if ratios else None,
        "worst": max(ratios, default=None),
        "operations": {
            method: round(
                sum(run.operations for run in each) / sum(run.executions for run in each), 1
            )
            for method, each in chosen.items()
        },
        "per_1000_executions": {
            method: round(1000 * _found_per_execution(each, names), 2)
            for method, each in chosen.items()
        },
        "cpu_milliseconds": {
            method: round(
                1000 * sum(run.cpu_seconds for run in each) / sum(run.executions for run in each), 1
            )
            for method, each in chosen.items()
        },
    }


def _found_per_execution(runs: Sequence[Run], bugs: Sequence[str]) -> float:
    """How often a bug is found while it is hunted: one that is not found adds executions only."""
    found = sum(len(run.first) for run in runs)
    spent = sum(run.first.get(bug, run.executions) for run in runs for bug in bugs)
    return found / spent if spent else 0.0


if __name__ == "__main__":
    end("bench-feedback", main)
