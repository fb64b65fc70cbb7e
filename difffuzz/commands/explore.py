# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz explore`: every schedule of a program with a bounded number of preemptions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..engine.explore import Shown
from ..engine.explore import explore as run_explore
from ..files.notes import text_of
from ..program.limits import THREADS
from ..sides import open_side
from ..sides.identity import side_notes
from .loaded import Choice, load_program
from .output import Json, emit, prepare_directory, write_text
from .programs import AsBytes, OwnLeft, OwnRight, Trust


def explore(
    file: Annotated[Path, typer.Argument(help="A program.")],
    preemptions: Annotated[int, typer.Option(min=0, help="At most so many.")] = 2,
    left: OwnLeft = None,
    right: OwnRight = None,
    trust: Trust = False,
    as_bytes: AsBytes = False,
    seconds: Annotated[
        float, typer.Option("--time", min=0.0, help="Seconds to spend; 0: no limit.")
    ] = 0.0,
    reduction: Annotated[
        bool, typer.Option(help="Leave out schedules that are equivalent to others.")
    ] = True,
    first: Annotated[bool, typer.Option(help="End at each side's first divergence.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the program with its schedule.")
    ] = None,
    json: Json = False,
) -> None:
    """Run a program under all its schedules. Exit status 1: one of them shows a divergence."""
    loaded = load_program(file, as_bytes)
    sides = loaded.sides(Choice(left, right, None, trust))
    if output is not None:
        prepare_directory(output.parent)
    start = time.monotonic()
    found = run_explore(
        loaded.program._replace(schedule=()),
        open_side(sides[0]),
        open_side(sides[1]),
        preemptions,
        seconds=seconds,
        reduce=reduction,
        first_only=first,
    )
    spent = time.monotonic() - start
    if output is not None and found.shown:
        shown = found.shown[0]
        notes = {"signature": shown.divergence.signature, "oracle": shown.divergence.oracle}
        notes |= {**side_notes(*sides), "mode": "concurrent"}
        program = loaded.program._replace(schedule=shown.schedule)
        write_text(output, text_of(program, notes))
    document = {
        "program": str(file),
        "left": sides[0],
        "right": sides[1],
        "preemptions": preemptions,
        "schedules": found.schedules,
        "complete": found.complete,
        "seconds": round(spent, 3),
        "divergences": [
            {**one.divergence._asdict(), "schedule": schedule_text(one)} for one in found.shown
        ],
    }
    word = "complete" if found.complete else "not complete"
    head = f"{file}: {found.schedules} schedules in {spent:.1f} s, {word}"
    lines = [f"{head}, {len(found.shown)} divergences"]
    for one in found.shown:
        lines += [f"  {one.divergence.signature}: {one.divergence.detail}"]
        lines += [f"    schedule {schedule_text(one)}"]
    emit(document, "\n".join(lines), json)
    raise typer.Exit(1 if found.shown else 0)


def schedule_text(shown: Shown) -> str:
    """The schedule as it stands in a program."""
    return " ".join(f"{step}:{THREADS[thread]}" for step, thread in shown.schedule)
