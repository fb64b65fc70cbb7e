# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz variant`: does a patch apply to the model? do two variants behave the same?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from ..engine.equivalence import Budget
from ..files.program_file import read_program
from ..sides import is_model
from ..triage.baseline import Baseline, read_baseline
from ..variants.trial import try_patches
from ..variants.unified_diff import parse, read_patch
from .comparing import (
    Files,
    Out,
    Runs,
    Schedules,
    Seed,
    Time,
    compare_sides,
    comparison_text,
)
from .equivalence import compare_models
from .limit import Limit
from .output import Json, emit, prepare_directory

DIFF_SECONDS = 600.0

app = typer.Typer(help="Work on patches against the model.")


@app.callback()
def variant() -> None:
    """Work on patches against the model."""


@app.command()
def check(
    patches: Annotated[list[Path], typer.Argument(help="Patches, applied together in order.")],
    json: Json = False,
) -> None:
    """Apply patches to the model in memory and import the result. Exit status 2: it fails.

    A patch is code: a process of its own imports it, which can write nothing and start nothing.
    """
    trial = try_patches(patches)
    files = [
        {"patch": str(patch), "file": diff.path, "hunks": len(diff.hunks)}
        for patch in patches
        for diff in parse(read_patch(patch), str(patch))
    ]
    lines = [f"{one['patch']}: {one['file']}: {one['hunks']} hunks apply" for one in files]
    document = {"applies": True, **msgspec.to_builtins(trial), "files": files}
    emit(document, "\n".join(lines), json)


@app.command()
def diff(
    left: Annotated[str, typer.Argument(help="base, FILE.patch, v6.1 or native:NAME.")],
    right: Annotated[str, typer.Argument(help="The other one.")],
    files: Files = None,
    runs: Runs = 1000,
    schedules: Schedules = 300,
    explored: Annotated[int, typer.Option(min=0, help="Small programs to explore.")] = 60,
    plans: Annotated[int, typer.Option(min=1, help="Schedules of each exploration.")] = 200,
    seed: Seed = 1,
    seconds: Time = DIFF_SECONDS,
    out: Out = Path("out/diff"),
    baseline: Annotated[
        Path | None, typer.Option(help="Differences that are known: signatures, or programs.")
    ] = None,
    json: Json = False,
) -> None:
    """Are two variants the same, with both MMUs?  Exit status 0 or 1.

    Ctrl-C ends it with what was found so far.

    Models are compared effect by effect: every RET_PF_*, SPTE, lock, request, flush and reference.
    Of builds of the kernel outcomes, SPTEs and statistics are compared.
    """
    prepare_directory(out)
    known = Baseline(read_baseline(baseline) if baseline else ())
    sides = [(_side(left, mmu), _side(right, mmu)) for mmu in ("legacy", "tdp")]
    with Limit(seconds) as limit:
        if all(is_model(name) for pair in sides for name in pair):
            budget = Budget(runs, schedules, explored, plans)
            document, text = compare_models(left, right, sides, files, budget, seed, out, limit)
        else:
            compared = compare_sides(sides, files, runs, schedules, seed, out, limit)
            tally = compared.tally
            document = {
                "left": left,
                "right": right,
                "programs": tally.programs,
                "schedules": tally.schedules,
                "agreed": tally.agreed,
                "differences": compared.found,
                "seconds": compared.seconds,
                "complete": not tally.stopped,
                "interrupted": limit.interrupted,
            }
            text = comparison_text(f"{left} and {right}", compared)
    document["differences"] = [one for one in document["differences"] if not _known(known, one)]
    document["explained"] = sorted(known.explained)
    if known.explained:
        left_over = len(document["differences"])
        text += f"\n  the baseline explains {', '.join(known.explained)}: {left_over} are left"
    emit(document, text, json)
    raise typer.Exit(1 if document["differences"] else 0)


def _known(baseline: Baseline, difference: dict[str, Any]) -> bool:
    """True if the baseline has the difference, as `difference:WHAT`, or its program."""
    program = read_program(Path(difference["program"]))
    return baseline.explains(f"difference:{difference['what']}", program)


def _side(variant: str, mmu: str) -> str:
    """The name of the side that runs a variant with one of its MMUs."""
    if variant == "base":
        return mmu
    if variant == "native" or variant.startswith("native:"):
        return f"{variant}:{mmu}"
    return f"{mmu}+{variant}" if variant.endswith(".patch") else f"{mmu}@{variant}"
