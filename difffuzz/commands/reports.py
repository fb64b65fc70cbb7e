# SPDX-License-Identifier: GPL-2.0-only
"""`--junit` and `--sarif`: the files that a smoke test writes for the system that runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..ci.junit import junit_xml
from ..ci.outcome import Outcome
from ..ci.sarif import sarif_document
from ..files.printable import json_text
from .output import write_bytes, write_text

Junit = Annotated[Path | None, typer.Option("--junit", help="Writes JUnit XML there.")]
Sarif = Annotated[Path | None, typer.Option("--sarif", help="Writes SARIF 2.1.0 there.")]


def write_reports(outcome: Outcome, junit: Path | None, sarif: Path | None) -> None:
    """Writes those that are wanted, each whole or not at all; unwritable() where that cannot be.

    Before the work begins, too: what an earlier test left is not to be taken for this one's, and
    what cannot be written shows then.
    """
    if junit is not None:
        write_bytes(junit, junit_xml(outcome))
    if sarif is not None:
        write_text(sarif, json_text(sarif_document(outcome)))
