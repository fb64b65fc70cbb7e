# SPDX-License-Identifier: GPL-2.0-only
"""The runs of scripts/bench-bugs: made in processes of their own, kept in OUT/runs.jsonl."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from ...errors import UsageError
from ...variants.catalogue import Bug
from ..row import Row


def read_runs(path: Path) -> dict[tuple[str, str, int], Row]:
    """The runs so far, by bug, method and seed; of several the last."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return {}
    runs: dict[tuple[str, str, int], Row] = {}
    for number, line in enumerate(lines, 1):
        try:
            run = msgspec.json.decode(line, type=Row)
        except msgspec.DecodeError as error:
            raise UsageError(f"{path}:{number}: {error}") from error
        runs[run.id, run.method, run.seed] = run
    return runs


def run_one(bug: Bug, method: str, seed: int, budget: float, kernel: str) -> Row:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "difffuzz.hunts.bench.one_run", bug.id, method]
    command += [str(seed), str(budget), kernel]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}
    )
    if done.returncode:
        raise UsageError(f"{bug.id} {method}: the run ended with status {done.returncode}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Row)


def keep(row: Row, path: Path) -> None:
    """Adds a run to the file."""
    with path.open("ab") as file:
        file.write(msgspec.json.encode(row) + b"\n")
