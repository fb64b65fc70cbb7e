# SPDX-License-Identifier: GPL-2.0-only
"""What ends a command before its work is done, with what it has by then: its time, or Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType

SIGNALS = signal.SIGINT, signal.SIGTERM


class Limit:
    """As long as its block lasts, Ctrl-C asks for the end; a second one does not ask."""

    def __init__(self, seconds: float) -> None:
        """`seconds` of work, from now on; 0: no limit."""
        self.interrupted = False
        self._seconds = seconds
        self.began = time.monotonic()
        self._end = self.began + seconds if seconds else 0.0
        self._time_is_over = False
        self._old: list[object] = []

    def __enter__(self) -> Limit:
        self._old = [signal.signal(number, self._ask) for number in SIGNALS]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in zip(SIGNALS, self._old, strict=True):
            signal.signal(number, handler)  # type: ignore[arg-type] # what signal() returned

    @property
    def clock(self) -> str:
        """Seconds since it began, and how many there are."""
        return f"{self.spent:.0f} s" + (f" of {self._seconds:.0f} s" if self._seconds else "")

    @property
    def spent(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def over(self) -> bool:
        """To be asked between two pieces of work: is this the end?"""
        return self.interrupted or self._past(self._end)

    def share(self, parts: int) -> Callable[[], bool]:
        """The same for the next of so many parts of the work, each with its share of the time."""
        now = time.monotonic()
        end = now + max(0.0, self._end - now) / parts if self._end else 0.0

        def over() -> bool:
            return self.interrupted or self._past(end)

        return over

    @property
    def reason(self) -> str:
        """Why the work is not done; empty if nothing ended it."""
        if self.interrupted:
            return "interrupted"
        return "time is over, --time gives more" if self._time_is_over else ""

    def _past(self, end: float) -> bool:
        past = bool(end) and time.monotonic() >= end
        self._time_is_over |= past
        return past

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
