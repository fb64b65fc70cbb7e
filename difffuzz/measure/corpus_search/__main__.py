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
from multiprocessing import Pool
from pathlib import Path

import msgspec

from ...engine.explore import GC_OBJECTS
from ...errors import UsageError
from ...script import end
from .search import Searched, search
from .tasks import Limits, Task, tasks

COLUMNS = "{:<44} {:>5} {:>9} {:>9} {:>8} {:>5}  {}"


def line(row: Searched) -> str:
    """A row as text."""
    name = row.program + (" (patched)" if row.patched else "")
    notes = [] if row.good else ["NOT AS IT SHOULD BE"]
    notes += row.divergences
    full = row.unreduced
    if full is not None:
        count = f"{full.schedules} schedules"
        if not full.complete:
            count = f"not complete after {count}"
        notes.append(f"without reduction {count} in {full.seconds} s")
    word = "yes" if row.complete else "no"
    found = len(row.divergences)
    return COLUMNS.format(
        name, row.preemptions, row.schedules, word, row.seconds, found, "; ".join(notes)
    )


def work(job: tuple[Task, Limits]) -> list[Searched]:
    """What a process of the pool does."""
    gc.set_threshold(GC_OBJECTS)
    return search(*job)


def main() -> int:
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
        raise UsageError(f"no program's name has {' or '.join(args.names)} in it")
    head = COLUMNS.format("program", "K", "schedules", "complete", "seconds", "found", "notes")
    print(head, flush=True)
    rows: list[Searched] = []
    with Pool(args.jobs, maxtasksperchild=1) as pool:
        for found in pool.imap(work, jobs, chunksize=1):
            rows += found
            print("\n".join(map(line, found)), flush=True)
            if args.output is not None:
                document = msgspec.json.format(msgspec.json.encode(rows))
                args.output.write_bytes(document + b"\n")
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    end("explore", main)
