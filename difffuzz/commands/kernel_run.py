# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz kernel run`: a reproducer on a booted kernel, with each of its MMUs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..booted.reproduce import binary_of, run_binary
from ..booted.session import BOTH, Died, Session
from ..errors import UsageError
from ..native.cache import default_cache
from .kernel_options import DEFAULT, Accel, Image, Modules, QemuPath, Which, wish_of
from .output import Json, emit
from .progress import note


def run(
    file: Annotated[Path, typer.Argument(help="C (*.c), or a static program.")],
    series: Which = DEFAULT,
    image: Image = None,
    modules: Modules = None,
    qemu: QemuPath = None,
    accel: Accel = "tcg",
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="It may take so long.")] = 120,
    json: Json = False,
) -> None:
    """Build an exported reproducer or a selftest, run it on a booted kernel; status 0 or 1.

    It runs once with each MMU, alone on its kernel; a line "not ok" is a finding.
    """
    wish = wish_of(series, image, modules, qemu, accel)
    data = binary_of(file)
    runs: list[dict[str, object]] = []
    lines: list[str] = []
    with Session(wish, default_cache(), note, traced=False) as session:
        for lane in BOTH:
            try:
                outcome = run_binary(session, data, lane, seconds)
            except Died as death:
                runs.append(
                    {"mmu": lane.mmu, "verdict": "crash", "status": -1, "bad": [str(death)]}
                )
                lines.append(f"{lane.mmu}: the kernel did not survive it: {death}")
                continue
            runs.append(
                {
                    "mmu": lane.mmu,
                    "verdict": outcome.verdict,
                    "status": outcome.status,
                    "bad": outcome.bad,
                    "output": outcome.output,
                }
            )
            lines += [f"{lane.mmu}: {outcome.verdict}", *(f"  {one}" for one in outcome.bad)]
            if outcome.verdict != "ok" and not outcome.bad:
                lines += [f"  {line}" for line in outcome.output.splitlines()[-3:]]
        release = session.release
    if all(one["verdict"] == "skipped" for one in runs):
        raise UsageError(f"{file}: it could tell nothing on Linux {release}: {lines[1].strip()}")
    document = {"kernel": release, "program": str(file), "runs": runs}
    emit(document, "\n".join([f"Linux {release}, {file}", *lines]), json)
    raise typer.Exit(1 if any(one["verdict"] in ("not ok", "crash") for one in runs) else 0)
