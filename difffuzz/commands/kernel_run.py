# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz kernel run`: a reproducer on a booted kernel, with each of its MMUs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..booted.qemu import MEGABYTES
from ..booted.reproduce import binary_of
from ..booted.session import EVERYTHING, NOTHING, Session
from ..errors import UsageError
from ..native.cache import default_cache
from .kernel_binary import BAD, run_both
from .kernel_options import DEFAULT, Accel, Image, Memory, Modules, QemuPath, Which, wish_of
from .output import Json, emit, prepare_directory
from .progress import note


def run(
    file: Annotated[Path, typer.Argument(help="C (*.c), or a static program.")],
    series: Which = DEFAULT,
    image: Image = None,
    modules: Modules = None,
    qemu: QemuPath = None,
    accel: Accel = "tcg",
    memory: Memory = MEGABYTES,
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="It may take so long.")] = 120,
    trace: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Trace it, into files there.")
    ] = None,
    json: Json = False,
) -> None:
    """Build an exported reproducer or a selftest, run it on a booted kernel; status 0 or 1.

    It runs once with each MMU, alone on its kernel; a line "not ok" is a finding.
    """
    wish = wish_of(series, image, modules, qemu, accel)._replace(megabytes=memory)
    data = binary_of(file)
    how = NOTHING if trace is None else EVERYTHING
    if trace is not None:
        prepare_directory(trace)
    traces = (trace, file.stem) if trace is not None else None
    with Session(wish, default_cache(), note, traced=how) as session:
        runs, lines = run_both(session, data, seconds, traces=traces)
        release = session.release
    if all(one["verdict"] == "skipped" for one in runs):
        raise UsageError(f"{file}: it could tell nothing on Linux {release}: {lines[1].strip()}")
    document = {"kernel": release, "program": str(file), "runs": runs}
    emit(document, "\n".join([f"Linux {release}, {file}", *lines]), json)
    raise typer.Exit(1 if any(one["verdict"] in BAD for one in runs) else 0)
