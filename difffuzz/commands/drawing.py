# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz explain --html --trace`: a recorded run in files, for the browser and for Perfetto."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from ..report.recording import Recording
from .output import prepare_directory, write_bytes

Html = Annotated[
    Path | None,
    typer.Option("--html", help="Write a page that steps through the run, for any browser."),
]
Trace = Annotated[
    Path | None, typer.Option("--trace", help="Write a trace of it for ui.perfetto.dev.")
]


class Drawings(NamedTuple):
    """Where the user wants a run drawn to."""

    html: Path | None = None
    trace: Path | None = None

    @property
    def wanted(self) -> list[Path]:
        """Those that are to be written."""
        return [path for path in self if path is not None]

    def prepare(self) -> None:
        """Makes their directories, before the work begins.  Errors as from prepare_directory()."""
        for path in self.wanted:
            prepare_directory(path.parent)

    def draw(self, recording: Recording) -> None:
        """Writes them, whole or not at all; unwritable() where that cannot be.

        What draws is loaded here: it takes as long to load as all of the rest.
        """
        if self.html is not None:
            from ..report.page import page_of

            write_bytes(self.html, page_of(recording).encode())
        if self.trace is not None:
            from ..report.perfetto_trace import trace_of

            write_bytes(self.trace, trace_of(recording))
