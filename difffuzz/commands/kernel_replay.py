# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz kernel replay`: programs on a booted kernel, judged without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..booted.doable import adapted
from ..booted.session import BOTH, Session
from ..engine.kernel_judge import run_and_judge
from ..errors import UsageError
from ..native.cache import default_cache
from ..program import ProgramError
from .kernel_options import DEFAULT, Accel, Image, Modules, QemuPath, Together, Which, wish_of
from .loaded import load_program
from .output import Json, emit
from .progress import note


def replay(
    files: Annotated[list[Path], typer.Argument(help="Programs; - for standard input.")],
    series: Which = DEFAULT,
    image: Image = None,
    modules: Modules = None,
    qemu: QemuPath = None,
    accel: Accel = "tcg",
    together: Together = False,
    json: Json = False,
) -> None:
    """Run programs on a booted kernel with each MMU: same or divergence; status 0 or 1.

    What the guest saw has to be the same on both, dirty logs have to have what it wrote, and the
    kernel's log no warning.
    """
    wish = wish_of(series, image, modules, qemu, accel)
    documents: list[dict[str, object]] = []
    lines: list[str] = []
    bad = False
    with Session(wish, default_cache(), note, together=together) as session:
        for file in files:
            document: dict[str, object] = {"program": str(file), "verdict": "error"}
            document["divergences"], document["remarks"] = [], []
            documents.append(document)
            try:
                one = adapted(load_program(file, as_bytes=False).program, wish.kernel.number)
            except (UsageError, ProgramError) as error:
                document["error"] = str(error)
                lines.append(f"{file}: error: {error}")
                bad = True
                continue
            found = run_and_judge(session, one, BOTH)
            document["verdict"] = "divergence" if found else "same"
            document["divergences"] = [
                {**wrong._asdict(), "signature": wrong.signature} for wrong in found
            ]
            document["remarks"] = list(one.remarks)
            document["kernel"] = session.release
            lines.append(f"{file}: {document['verdict']} (Linux {session.release})")
            lines += [f"  {wrong.signature}: {wrong.detail}" for wrong in found]
            lines += [f"  {line}" for line in one.remarks]
    emit(documents, "\n".join(lines), json)
    if bad:
        raise typer.Exit(2)
    raise typer.Exit(1 if any(one["verdict"] == "divergence" for one in documents) else 0)
