# SPDX-License-Identifier: GPL-2.0-only
"""End an execution that does not end by itself.

The timer counts the process' own CPU time, so a loaded machine does not fake a hang, and leaves
SIGALRM to atheris.
"""

from __future__ import annotations

import signal
from types import FrameType

HANG_SECONDS = 10.0


class Hang(BaseException):
    """Raised inside an execution that took too long; no Exception, so the model cannot catch it."""


class Watchdog:
    """Raises Hang between one and two `seconds` after `start()`, unless `stop()` came before."""

    __slots__ = ("_left",)

    def __init__(self, seconds: float = HANG_SECONDS) -> None:
        self._left = 0
        signal.signal(signal.SIGVTALRM, self._tick)
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds)

    def start(self) -> None:
        self._left = 2

    def stop(self) -> None:
        self._left = 0

    def close(self) -> None:
        """Stop the timer."""
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)

    def _tick(self, signum: int, frame: FrameType | None) -> None:
        if self._left:
            self._left -= 1
            if not self._left:
                raise Hang
