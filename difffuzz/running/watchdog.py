# SPDX-License-Identifier: GPL-2.0-only
"""End an execution that does not end by itself.

The timer counts the process' own CPU time, so a loaded machine does not fake a hang, and leaves
SIGALRM to atheris.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from types import FrameType

HANG_SECONDS = 20.0
HURRY_SECONDS = 2.0
"""The same once one hang is known and the next ones only cost time."""


class Hang(BaseException):
    """Raised inside an execution that took too long; no Exception, so the model cannot catch it."""


class Watchdog:
    """Raises Hang `seconds` of CPU time after `start()`, unless `stop()` came before; then again.

    `libraries`: for each library of native code, what has it end its own loops when the time is
    over; no Python runs in these.
    """

    __slots__ = ("_armed", "_libraries", "seconds")

    def __init__(
        self, seconds: float = HANG_SECONDS, libraries: Sequence[Callable[[], object]] = ()
    ) -> None:
        self._armed = False
        self._libraries = libraries
        self.seconds = seconds

    def start(self) -> None:
        signal.signal(signal.SIGVTALRM, self._ring)
        for watch in self._libraries:
            watch()
        self._armed = True
        signal.setitimer(signal.ITIMER_VIRTUAL, self.seconds, self.seconds)

    def stop(self) -> None:
        self._armed = False  # a signal may wait for its handler already
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            raise Hang
