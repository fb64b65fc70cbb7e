# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz explore`: every schedule of a program with few preemptions, or many of a strategy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ..engine.explore import Exploration, Shown
from ..engine.explore import explore as run_explore
from ..engine.sampling import sample
from ..engine.there_and_back import there_and_back
from ..errors import UsageError
from ..files.notes import text_of
from ..program import Program
from ..program.limits import SCHEDULED
from ..sched.series import SERIES
from ..sides import open_side, short_name
from ..sides.identity import side_notes
from .kept import Kept
from .limit import Limit
from .loaded import Choice, load_program
from .memory import Memory, delays_of
from .output import Json, emit, prepare_directory, write_text
from .programs import AsBytes, OwnLeft, OwnRight, Trust
from .progress import Progress

EXPLORE_SECONDS = 300.0
EXHAUSTIVE = "exhaustive"
"""The strategy of --preemptions."""


def explore(
    file: Annotated[Path, typer.Argument(help="A program.")],
    preemptions: Annotated[int, typer.Option(min=0, help="At most so many.")] = 2,
    left: OwnLeft = None,
    right: OwnRight = None,
    trust: Trust = False,
    as_bytes: AsBytes = False,
    seconds: Annotated[
        float, typer.Option("--time", min=0.0, help="Seconds to spend; 0: no limit.")
    ] = EXPLORE_SECONDS,
    reduction: Annotated[
        bool, typer.Option(help="Leave out schedules that are equivalent to others.")
    ] = True,
    back: Annotated[
        bool,
        typer.Option(
            "--there-and-back",
            help="Native sides: to another thread and back only, everywhere, played in C.",
        ),
    ] = False,
    strategy: Annotated[
        str,
        typer.Option(help=f"How schedules are chosen: {', '.join((EXHAUSTIVE, *SERIES))}."),
    ] = EXHAUSTIVE,
    memory: Memory = "sc",
    seed: Annotated[int, typer.Option(help="Of a strategy that draws.")] = 0,
    schedules: Annotated[
        int, typer.Option(min=0, help="Of a strategy that draws, for each side; 0: no limit.")
    ] = 0,
    first: Annotated[bool, typer.Option(help="End at each side's first divergence.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the program with its schedule.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Every divergence goes below it.")] = Path(
        "out/explore"
    ),
    json: Json = False,
) -> None:
    """Run a program under all its schedules, or under many. Exit status 1: one shows a divergence.

    Ctrl-C ends it with what was found so far.
    """
    if strategy not in (EXHAUSTIVE, *SERIES):
        names = ", ".join((EXHAUSTIVE, *SERIES))
        raise UsageError(f"--strategy {strategy!r} is not one of {names}")
    delays = delays_of(memory)
    if back and delays:
        raise UsageError("--there-and-back goes with --memory sc only: it delays no stores")
    if back and strategy != EXHAUSTIVE:
        raise UsageError("--there-and-back is a strategy of its own: leave --strategy out")
    loaded = load_program(file, as_bytes)
    sides = loaded.sides(Choice(left, right, None, trust))
    opened = open_side(sides[0]), open_side(sides[1])
    if output is not None:
        prepare_directory(output.parent)
    notes = {**side_notes(*sides), "mode": "concurrent"}
    with Kept(out, notes) as kept, Limit(seconds) as limit, Progress() as progress:
        watch = _Watch(loaded.program, sides, kept, limit, progress)
        program = loaded.program._replace(schedule=())
        if back:
            found = there_and_back(program, *opened, stop=watch.stop)
        elif strategy != EXHAUSTIVE:
            found = sample(
                program,
                *opened,
                strategy,
                seed=seed,
                schedules=schedules,
                first_only=first,
                stop=watch.stop,
                delays=delays,
            )
        else:
            found = run_explore(
                program,
                *opened,
                preemptions,
                reduce=reduction,
                first_only=first,
                stop=watch.stop,
                delays=delays,
            )
        watch.keep(found)
    if output is not None and found.shown:
        shown = found.shown[0]
        program = loaded.program._replace(schedule=shown.schedule)
        said = {"signature": shown.divergence.signature, "oracle": shown.divergence.oracle}
        write_text(output, text_of(program, {**said, **notes}))
    spent = limit.spent
    document = {
        "program": str(file),
        "left": sides[0],
        "right": sides[1],
        "preemptions": preemptions,
        "strategy": strategy,
        "memory": memory,
        "schedules": found.schedules,
        "complete": found.complete,
        "interrupted": limit.interrupted,
        "seconds": round(spent, 3),
        "divergences": [
            {
                **one.divergence._asdict(),
                "schedule": schedule_text(one),
                "program": str(kept.where(one.divergence.signature)),
            }
            for one in found.shown
        ],
    }
    head = f"{file}: {found.schedules} schedules in {spent:.1f} s, {_how_complete(found, limit)}"
    lines = [f"{head}, {len(found.shown)} divergences"]
    for one in found.shown:
        lines += [f"  {one.divergence.signature}: {one.divergence.detail}"]
        lines += [f"    schedule {schedule_text(one)}"]
        lines += [f"    {kept.where(one.divergence.signature)}"]
    emit(document, "\n".join(lines), json)
    raise typer.Exit(1 if found.shown else 0)


class _Watch:
    """Keeps what a search finds, shows how far it is, and ends it; each side has half the time."""

    def __init__(
        self,
        program: Program,
        sides: tuple[str, str],
        kept: Kept,
        limit: Limit,
        progress: Progress,
    ) -> None:
        self._program = program
        self._sides = sides
        self._kept = kept
        self._limit = limit
        self._progress = progress
        self._known = 0
        self._overs: list[Callable[[], bool]] = []

    def stop(self, found: Exploration) -> bool:
        """Asked between two runs."""
        self.keep(found)
        side = len(found.ends)
        if side == len(self._overs):
            self._overs.append(self._limit.share(len(self._sides) - side))
        self._progress.show(
            f"explore: {short_name(self._sides[side])}: {self._limit.clock}, "
            f"{found.schedules} schedules, {len(found.shown)} divergences"
        )
        return self._overs[side]()

    def keep(self, found: Exploration) -> None:
        """Writes what is new."""
        for one, schedule in found.shown[self._known :]:
            program = self._program._replace(schedule=schedule)
            self._kept.add(program, one.signature, one.oracle, one.detail)
        self._known = len(found.shown)


def _how_complete(found: Exploration, limit: Limit) -> str:
    if found.complete:
        return "complete"
    return f"not complete ({limit.reason})" if limit.reason else "not complete"


def schedule_text(shown: Shown) -> str:
    """The schedule as it stands in a program."""
    return " ".join(f"{step}:{SCHEDULED[thread]}" for step, thread in shown.schedule)
