# SPDX-License-Identifier: GPL-2.0-only
"""What `native conform` and `variant diff` share: sides by name, programs, and the report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..engine.conform_many import Pair, Tally, compare, programs_of
from ..errors import UsageError
from ..files.program_file import read_program
from ..program import Program, render
from ..sides import KERNELS, KvmFactory, open_side
from .output import write_text
from .progress import PLAIN_SECONDS, note

Files = Annotated[
    list[Path] | None, typer.Argument(help="Programs; else all of corpus/ if it is here.")
]
Runs = Annotated[int, typer.Option(min=0, help="Generated programs besides.")]
Schedules = Annotated[int, typer.Option(min=0, help="How many programs run with a schedule too.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the generated programs.")]
Out = Annotated[Path, typer.Option(help="Where programs go that show a difference.")]
SHOWN = 12
"""Differences that the text names."""


def variant_of(version: str) -> str:
    """The suffix of the model's sides for a kernel version: @v6.1, or nothing for the base."""
    series = "v" + ".".join(version.split(".")[:2])
    if (KERNELS / f"{series}.patch").is_file():
        return f"@{series}"
    note(f"warning: there is no variant of the model for Linux {version}, the base is compared")
    return ""


def compare_sides(
    names: list[tuple[str, str]], files: list[Path] | None, runs: int, schedules: int, seed: int
) -> tuple[Tally, float]:
    """Opens the pairs of sides and compares them; the tally and the seconds it took."""
    pairs = [Pair(_model(left), _model(right)) for left, right in names]
    began = time.monotonic()
    shown = began

    def progress(tally: Tally) -> None:
        nonlocal shown
        if time.monotonic() - shown >= PLAIN_SECONDS:
            shown = time.monotonic()
            note(
                f"{shown - began:.0f} s: {tally.programs} programs, {tally.schedules} schedules, "
                f"{len(tally.found)} differences"
            )

    programs = programs_of(read_programs(files), runs, seed)
    tally = compare(pairs, programs, schedules, progress)
    return tally, round(time.monotonic() - began, 1)


def _model(name: str) -> KvmFactory:
    side = open_side(name)
    if not isinstance(side, KvmFactory):
        raise UsageError(f"side {name!r} has no page tables to compare")
    return side


def read_programs(files: list[Path] | None) -> list[Program]:
    """The programs of the files, or of corpus/; UsageError for one that cannot be read."""
    if files is None:
        files = sorted(Path("corpus").rglob("*.difffuzz"))
    return [read_program(path) for path in files]


def write_found(tally: Tally, out: Path) -> list[dict[str, object]]:
    """Writes a program for each difference; what the JSON says of them."""
    written: list[dict[str, object]] = []
    for number, found in enumerate(tally.found):
        path = out / f"{number}-{found.pair.right.name.replace(':', '-')}.difffuzz"
        write_text(path, f"{render(found.program)}# {found.disagreement.text}\n")
        written.append(
            {
                "left": found.pair.left.name,
                "right": found.pair.right.name,
                "program": str(path),
                "schedule": found.seed,
                "what": found.disagreement.what,
                "detail": found.disagreement.text,
            }
        )
    return written


def comparison_text(
    title: str, tally: Tally, found: list[dict[str, object]], seconds: float
) -> str:
    """The report for people."""
    all_runs = tally.programs + tally.schedules
    share = 100 * tally.agreed / all_runs if all_runs else 100.0
    lines = [
        f"{title}: {tally.programs} programs and {tally.schedules} schedules in {seconds:.0f} s, "
        f"{tally.agreed} agree ({share:.3f} %)"
    ]
    lines += [f"  {one['program']}: {one['detail']}"[:240] for one in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    return "\n".join(lines)
