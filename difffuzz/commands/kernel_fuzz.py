# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz kernel fuzz`: programs without end on a booted kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .kernel_hunt import Hunt, hunt, hunt_text
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
from .output import Json, emit


def fuzz(
    series: Which = DEFAULT,
    image: Image = None,
    modules: Modules = None,
    qemu: QemuPath = None,
    accel: Accel = "tcg",
    together: Together = False,
    model: Annotated[
        str | None, typer.Option(help="Variant of the model; else that of the kernel's version.")
    ] = None,
    against_model: Annotated[
        bool,
        typer.Option(
            "--against-model/--no-model", help="What the model does not say is a finding."
        ),
    ] = True,
    seconds: Annotated[float, typer.Option("--time", min=0.0, help="Seconds to spend.")] = 60.0,
    runs: Annotated[int, typer.Option(min=0, help="Programs at most; 0: no limit.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 1,
    stop_on_finding: Annotated[
        bool, typer.Option("--stop-on-finding", help="End with the first.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where findings go.")] = Path("out/kernel-fuzz"),
    json: Json = False,
) -> None:
    """Run the corpus, then programs made of what was new, on a booted kernel; status 1: findings.

    A program that shows what none before it showed (an answer, an SPTE, a statistic) is changed
    further.  Something is a finding when it has come twice.
    """
    wish = wish_of(series, image, modules, qemu, accel)
    models = models_of(wish.kernel, model) if against_model else None
    document = hunt(
        Hunt(
            wish,
            out,
            models=models,
            seconds=seconds,
            runs=runs,
            seed=seed,
            together=together,
            stop_on_finding=stop_on_finding,
        )
    )
    emit(document, hunt_text(document), json)
    raise typer.Exit(1 if document["findings"] else 0)
