# SPDX-License-Identifier: GPL-2.0-only
"""What a hunt starts from: seeds, and the programs of all bugs that are not hunted."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..program import parse, render
from ..shipped import CORPUS
from ..variants.catalogue import Bug, catalogue

PARTS = ("seeds", "concurrent")
"""Regressions are left out, some are the very program of a bug."""


def general_corpus(bugs: Collection[Bug], kernel: str, out: Path) -> Path:
    """Fills a new directory; programs that do the same as one of these bugs' own are left out."""
    out.mkdir()
    own = {parse(bug.program_on(kernel), bug.id).ops for bug in bugs}
    for name in PARTS:
        for path in (CORPUS / name).glob("*.difffuzz"):
            (out / f"{name}-{path.name}").write_text(path.read_text())
    for other in catalogue():
        program = parse(other.program_on(kernel), other.id) if not other.held else None
        if program is not None and program.ops not in own:
            (out / f"{other.id}.difffuzz").write_text(render(program))
    return out
