# SPDX-License-Identifier: GPL-2.0-only
"""What a command shows: one JSON document or text on stdout, progress on stderr."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..errors import UsageError
from ..files.atomic import write_atomically
from ..fuzz.stats import Summary
from .printable import json_text, printable

PLAIN_SECONDS = 5.0
"""Time between two progress lines where stderr is no terminal."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Left = Annotated[str, typer.Option(help="One side: legacy, tdp, spec, tdp+FILE.patch, ...")]
Right = Annotated[str, typer.Option(help="The other side.")]


def emit(document: object, text: str, json: bool) -> None:
    """Print the document as JSON if asked to, else the text."""
    text = json_text(document) if json else printable(text)
    sys.stdout.write(text if text.endswith("\n") or not text else f"{text}\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """One line on stderr."""
    print(printable(line), file=sys.stderr, flush=True)


def write_text(path: Path, text: str) -> None:
    """Write a file that the user named, whole or not at all; UsageError where that cannot be."""
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def prepare_directory(path: Path) -> None:
    """Make a directory for results before the work for them begins; UsageError likewise."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


class Progress:
    """Shows a run's figures: a live line on a terminal, a plain line now and then elsewhere."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._console = Console(stderr=True, highlight=False)
        self._live: Live | None = None
        self._next = time.monotonic() + PLAIN_SECONDS
        self._shown: set[str] = set()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, summary: Summary) -> None:
        """Take the newest figures."""
        if self._live is None and self._console.is_terminal:
            self._live = Live(console=self._console, transient=True)
            self._live.start()
        for finding in summary.findings:
            if finding.signature not in self._shown:
                self._shown.add(finding.signature)
                self._line(f"{self._what}: finding {finding.signature}: {finding.program}")
        line = f"{self._what}: {figures(summary)}"
        if self._live is not None:
            self._live.update(Text(printable(line)))
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_SECONDS
            note(line)

    def _line(self, line: str) -> None:
        if self._live is not None:
            self._console.print(Text(printable(line)))
        else:
            note(line)


def figures(summary: Summary) -> str:
    """The figures of a run in one line."""
    return (
        f"{summary.seconds:.0f} s, {summary.executions} executions "
        f"({summary.executions_per_second:.0f}/s), {summary.operations} operations, "
        f"coverage {summary.coverage}, corpus {summary.corpus}, "
        f"findings {len(summary.findings)}"
    )
