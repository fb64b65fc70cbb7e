# SPDX-License-Identifier: GPL-2.0-only
"""Explores every concurrent program of the corpus and of the catalogue of bugs; prints a table.

All schedules with at most K preemptions are run, of the programs in corpus/concurrent and of the
programs that show the catalogue's concurrent bugs, on the models of kernels too where they have
programs of their own.  Without their patches all must be quiet and all searches complete, else the
exit status is 1.  With its patch, a program must show the bug: the
least K up to --bound that does is looked for.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path
from typing import Any, NamedTuple

from difffuzz import program
from difffuzz.engine.explore import GC_OBJECTS, Exploration, explore, explore_side
from difffuzz.program import Program
from difffuzz.sides import open_side
from difffuzz.variants.catalogue import catalogue

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "concurrent"
COLUMNS = "{:<44} {:>5} {:>9} {:>9} {:>8} {:>5}  {}"


class Task(NamedTuple):
    """A program to explore; `sides` are those to search, each on its own if `patched`."""

    name: str
    program: Program
    sides: tuple[str, ...]
    patched: bool = False


class Limits(NamedTuple):
    """How far each search goes."""

    preemptions: int
    seconds: float
    bound: int
    compare: float
    deeper: bool


def tasks() -> Iterator[Task]:
    """Everything there is to explore."""
    for path in sorted(CORPUS.glob("*.difffuzz")):
        yield Task(path.stem, program.parse(path.read_text(), path.name), ("legacy", "tdp"))
    for bug in catalogue():
        if bug.concurrent and not bug.held and bug.program:
            for kernel in ("", *(one for one in bug.kernels if one in bug.programs)):
                name = f"{bug.id}@{kernel}" if kernel else bug.id
                parsed = program.parse(bug.program_on(kernel), name)._replace(schedule=())
                if not kernel:
                    yield Task(name, parsed, bug.plain_sides())
                patch = str(bug.patch_on(kernel))
                own = tuple(side for side in bug.sides(kernel) if patch in side)
                yield Task(name, parsed, own, patched=True)


def search(task: Task, limits: Limits) -> list[dict[str, Any]]:
    """The rows of the table for a program."""
    if task.patched:
        return [find(task, limits)]
    row = quiet(task, limits.preemptions, limits)
    rows = [row]
    if limits.compare:
        full, spent = run(task, limits.preemptions, limits.compare, reduce=False)
        row["unreduced"] = {
            "schedules": full.schedules,
            "complete": full.complete,
            "seconds": spent,
            "divergences": signatures(full),
        }
        if full.complete and row["complete"]:
            row["same_ends"] = signatures(full) == row["divergences"]
    if limits.deeper and row["complete"]:
        rows.append(quiet(task, limits.preemptions + 1, limits) | {"deeper": True})
    return rows


def quiet(task: Task, preemptions: int, limits: Limits) -> dict[str, Any]:
    """The search that must find nothing."""
    found, spent = run(task, preemptions, limits.seconds)
    return {
        "program": task.name,
        "patched": False,
        "preemptions": preemptions,
        "schedules": found.schedules,
        "complete": found.complete,
        "seconds": spent,
        "divergences": signatures(found),
        "shown": [list(one.schedule) for one in found.shown],
    }


def run(
    task: Task, preemptions: int, seconds: float, *, reduce: bool = True
) -> tuple[Exploration, float]:
    """One search of both sides, and its seconds."""
    left, right = map(open_side, task.sides)
    begin = time.monotonic()
    found = explore(task.program, left, right, preemptions, seconds=seconds, reduce=reduce)
    return found, round(time.monotonic() - begin, 2)


def find(task: Task, limits: Limits) -> dict[str, Any]:
    """The least number of preemptions that shows the bug."""
    row: dict[str, Any] = {"program": task.name, "patched": True}
    for preemptions in range(limits.bound + 1):
        begin = time.monotonic()
        found = Exploration()
        for number, side in enumerate(task.sides):
            explore_side(
                task.program,
                open_side(side),
                number,
                preemptions,
                found,
                deadline=begin + limits.seconds,
                first_only=True,
            )
        row |= {
            "preemptions": preemptions,
            "schedules": found.schedules,
            "complete": found.complete or bool(found.shown),
            "seconds": round(time.monotonic() - begin, 2),
            "divergences": signatures(found),
            "shown": [list(one.schedule) for one in found.shown],
        }
        if found.shown:
            break
    return row


def signatures(found: Exploration) -> list[str]:
    """What a search showed."""
    return sorted({one.divergence.signature for one in found.shown})


def is_good(row: dict[str, Any]) -> bool:
    """Is this what it should be?"""
    if row["patched"]:
        return bool(row["divergences"])
    return not row["divergences"] and (row["complete"] or "deeper" in row)


def line(row: dict[str, Any]) -> str:
    """A row as text."""
    name = row["program"] + (" (patched)" if row["patched"] else "")
    notes = [] if is_good(row) else ["NOT AS IT SHOULD BE"]
    notes += row["divergences"]
    if "unreduced" in row:
        full = row["unreduced"]
        count = f"{full['schedules']} schedules" if full["complete"] else "not complete"
        if not full["complete"]:
            count += f" after {full['schedules']} schedules"
        notes.append(f"without reduction {count} in {full['seconds']} s")
    word = "yes" if row["complete"] else "no"
    found = len(row["divergences"])
    return COLUMNS.format(
        name, row["preemptions"], row["schedules"], word, row["seconds"], found, "; ".join(notes)
    )


def work(job: tuple[Task, Limits]) -> list[dict[str, Any]]:
    """What a process of the pool does."""
    gc.set_threshold(GC_OBJECTS)
    return search(*job)


def main() -> None:
    """Explores everything, or what is named."""
    parser = argparse.ArgumentParser(prog="scripts/explore", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names; default: all programs")
    parser.add_argument("--preemptions", type=int, default=2, help="without patches (default: 2)")
    parser.add_argument("--bound", type=int, default=3, help="at most, with patches (default: 3)")
    parser.add_argument("--time", type=float, default=300.0, help="seconds for each search")
    parser.add_argument(
        "--compare",
        type=float,
        nargs="?",
        const=60.0,
        default=0.0,
        metavar="SECONDS",
        help="search without the reduction too, so long at most (default: 60)",
    )
    parser.add_argument(
        "--deeper", action="store_true", help="with one preemption more too, where that completed"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("-o", "--output", type=Path, help="write all rows as one JSON document")
    args = parser.parse_args()
    limits = Limits(args.preemptions, args.time, args.bound, args.compare, args.deeper)
    jobs = [
        (task, limits)
        for task in tasks()
        if not args.names or any(name in task.name for name in args.names)
    ]
    if not jobs:
        print(f"explore: no program's name has {' or '.join(args.names)} in it", file=sys.stderr)
        sys.exit(2)
    head = COLUMNS.format("program", "K", "schedules", "complete", "seconds", "found", "notes")
    print(head, flush=True)
    rows: list[dict[str, Any]] = []
    with Pool(args.jobs, maxtasksperchild=1) as pool:
        for found in pool.imap(work, jobs, chunksize=1):
            rows += found
            print("\n".join(map(line, found)), flush=True)
            if args.output is not None:
                args.output.write_text(json.dumps(rows, indent=2) + "\n")
    sys.exit(0 if all(map(is_good, rows)) else 1)


if __name__ == "__main__":
    main()
