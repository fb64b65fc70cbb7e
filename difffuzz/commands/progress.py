# SPDX-License-Identifier: GPL-2.0-only
"""How far a command is: live on a terminal, a plain line now and then elsewhere; all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from ..files.printable import printable

PLAIN_SECONDS = 5.0
"""Time between two plain lines."""
FRAMES = 5
"""Times a second that a terminal is drawn."""


def note(line: str) -> None:
    """One line on stderr."""
    print(printable(line), file=sys.stderr, flush=True)


class Progress:
    """Shows the newest of what it is told, as long as its block lasts."""

    def __init__(
        self, console: Console | None = None, plain_seconds: float = PLAIN_SECONDS
    ) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._plain_seconds = plain_seconds
        self._live: Live | None = None
        self._next = time.monotonic() + plain_seconds

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

    def show(self, line: str, screen: Callable[[], RenderableType] | None = None) -> None:
        """What a plain line says, and what a terminal shows: the same line if nothing else."""
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(console=self._console, transient=True, refresh_per_second=FRAMES)
                self._live.start()
            self._live.update(screen() if screen is not None else Text(printable(line)))
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + self._plain_seconds
            note(line)

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._console.is_terminal:
            self._console.print(Text(printable(line)), soft_wrap=True)
        else:
            note(line)
