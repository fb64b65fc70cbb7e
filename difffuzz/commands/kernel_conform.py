# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz kernel conform`: does a booted kernel do what its model says?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from ..booted.session import Session
from ..engine.kernel_conform import Named, Tally, conform_all
from ..files.program_file import read_program
from ..native.cache import default_cache
from ..program import generate, render
from ..shipped import CORPUS
from .kernel_options import (
    DEFAULT,
    Accel,
    Image,
    Modules,
    QemuPath,
    Together,
    Which,
    models_of,
    wish_of,
)
from .limit import Limit
from .output import Json, emit, prepare_directory, write_text
from .progress import Progress, note

SHOWN = 12
"""Differences that the text names."""


def conform(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Programs; else all that came with difffuzz.")
    ] = None,
    series: Which = DEFAULT,
    image: Image = None,
    modules: Modules = None,
    qemu: QemuPath = None,
    accel: Accel = "tcg",
    together: Together = False,
    model: Annotated[
        str | None, typer.Option(help="Variant of the model; else that of the kernel's version.")
    ] = None,
    runs: Annotated[int, typer.Option(min=0, help="Generated programs besides.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the generated programs.")] = 1,
    seconds: Annotated[
        float, typer.Option("--time", min=0.0, help="Seconds to spend; 0: no limit.")
    ] = 0.0,
    out: Annotated[Path, typer.Option(help="Where programs go that show a difference.")] = Path(
        "out/kernel"
    ),
    json: Json = False,
) -> None:
    """Compare the model with a booted kernel: data, RET_PF, levels, dirty logs; status 0 or 1."""
    wish = wish_of(series, image, modules, qemu, accel)
    models = models_of(wish.kernel, model)
    prepare_directory(out)
    found: list[dict[str, object]] = []
    with (
        Session(wish, default_cache(), note, together=together) as session,
        Limit(seconds) as limit,
        Progress() as progress,
    ):
        session.boot()

        def stop(tally: Tally) -> bool:
            for one in tally.found[len(found) :]:
                path = out / f"{len(found)}-{one.name}-{one.lane.mmu}.difffuzz"
                write_text(path, f"{render(one.program)}# {one.difference.text}\n")
                found.append(
                    {
                        "program": str(path),
                        "mmu": one.lane.mmu,
                        "what": one.difference.what,
                        "detail": one.difference.text,
                    }
                )
            progress.show(f"{limit.clock}: {tally.programs} runs, {len(found)} differences")
            return limit.over()

        tally = conform_all(session, models, _programs(files, runs, seed), stop)
        document = {
            "kernel": session.release,
            "model": model if model is not None else f"v{wish.kernel.series}",
            "programs": tally.programs,
            "operations": tally.operations,
            "agreed": tally.agreed,
            "disagreed": found,
            "left_out": [{"program": name, "why": why} for name, why in tally.left_out],
            "skipped_operations": tally.skipped,
            "rules": dict(tally.rules),
            "seconds": round(limit.spent, 1),
            "boots": session.boots,
            "failures": session.failures,
            "complete": not tally.stopped,
        }
    lines = [
        f"Linux {document['kernel']} and the model {document['model']}: {tally.programs} runs of "
        f"{tally.operations} operations in {document['seconds']} s, {tally.agreed} agree; "
        f"{tally.skipped} operations and {len(tally.left_out)} programs were left out"
    ]
    lines += [f"  {one['program']}: {one['detail']}"[:240] for one in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    emit(document, "\n".join(lines), json)
    raise typer.Exit(1 if found else 0)


def _programs(files: list[Path] | None, runs: int, seed: int) -> Iterator[Named]:
    """The files, or all that ship, then generated ones."""
    paths = files if files is not None else sorted(CORPUS.rglob("*.difffuzz"))
    for path in paths:
        yield path.stem, read_program(path)
    rng = Random(seed)
    for number in range(runs):
        yield f"generated-{number}", generate(rng, near=True)
