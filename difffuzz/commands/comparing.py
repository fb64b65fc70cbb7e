# SPDX-License-Identifier: GPL-2.0-only
"""What `native conform` and `variant diff` share: sides by name, programs, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from ..engine.conform_many import Found, Pair, Tally, compare, programs_of
from ..errors import UsageError
from ..files.program_file import read_program
from ..program import Program, render
from ..shipped import CORPUS
from ..sides import KERNELS, KvmFactory, open_side
from .limit import Limit
from .output import write_text
from .progress import Progress, note

Files = Annotated[
    list[Path] | None, typer.Argument(help="Programs; else all that came with difffuzz.")
]
Runs = Annotated[int, typer.Option(min=0, help="Generated programs besides.")]
Schedules = Annotated[int, typer.Option(min=0, help="How many programs run with a schedule too.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the generated programs.")]
Out = Annotated[Path, typer.Option(help="Where programs go that show a difference.")]
Time = Annotated[float, typer.Option("--time", min=0.0, help="Seconds to spend; 0: no limit.")]
SHOWN = 12
"""Differences that the text names."""


def variant_of(version: str) -> str:
    """The suffix of the model's sides for a kernel version: @v6.1, or nothing for the base."""
    series = "v" + ".".join(version.split(".")[:2])
    if (KERNELS / f"{series}.patch").is_file():
        return f"@{series}"
    note(f"warning: there is no variant of the model for Linux {version}, the base is compared")
    return ""


class Compared(NamedTuple):
    """What a comparison of pairs of sides came to; `found` is what the JSON says of differences."""

    tally: Tally
    found: list[dict[str, object]]
    seconds: float
    ended: str
    """Why it is not all that was asked for; empty if it is."""


def compare_sides(
    names: list[tuple[str, str]],
    files: list[Path] | None,
    runs: int,
    schedules: int,
    seed: int,
    out: Path,
    limit: Limit,
) -> Compared:
    """Opens the pairs of sides and compares them; a difference is on disk when it is found."""
    pairs = [Pair(_model(left), _model(right)) for left, right in names]
    programs = programs_of(read_programs(files), runs, seed)
    found: list[dict[str, object]] = []
    with Progress() as progress:

        def stop(tally: Tally) -> bool:
            for number in range(len(found), len(tally.found)):
                found.append(_written(number, tally.found[number], out))
            progress.show(
                f"{limit.clock}: {tally.programs} programs, {tally.schedules} schedules, "
                f"{len(found)} differences"
            )
            return limit.over()

        tally = compare(pairs, programs, schedules, stop)
    return Compared(tally, found, round(limit.spent, 1), limit.reason if tally.stopped else "")


def _model(name: str) -> KvmFactory:
    side = open_side(name)
    if not isinstance(side, KvmFactory):
        raise UsageError(f"side {name!r} has no page tables to compare")
    return side


def read_programs(files: list[Path] | None) -> list[Program]:
    """The programs of the files, or all that ship and that a model can run; UsageError for one that
    cannot be read."""
    if files is not None:
        return [read_program(path) for path in files]
    shipped = map(read_program, sorted(CORPUS.rglob("*.difffuzz")))
    return [program for program in shipped if program.config.guest == "none"]


def _written(number: int, found: Found, out: Path) -> dict[str, object]:
    """Writes the program of a difference; what the JSON says of it."""
    path = out / f"{number}-{found.pair.right.name.replace(':', '-')}.difffuzz"
    write_text(path, f"{render(found.program)}# {found.disagreement.text}\n")
    return {
        "left": found.pair.left.name,
        "right": found.pair.right.name,
        "program": str(path),
        "schedule": found.seed,
        "what": found.disagreement.what,
        "detail": found.disagreement.text,
    }


def comparison_text(title: str, compared: Compared) -> str:
    """The report for people."""
    tally, found = compared.tally, compared.found
    all_runs = tally.programs + tally.schedules
    share = 100 * tally.agreed / all_runs if all_runs else 100.0
    lines = [
        f"{title}: {tally.programs} programs and {tally.schedules} schedules in "
        f"{compared.seconds:.0f} s, {tally.agreed} agree ({share:.3f} %)"
    ]
    if compared.ended:
        lines.append(f"  not all that was asked for: {compared.ended}")
    lines += [f"  {one['program']}: {one['detail']}"[:240] for one in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    return "\n".join(lines)
