# SPDX-License-Identifier: GPL-2.0-only
"""Ends code that does not end by itself, in the main thread of a process."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class OutOfTime(BaseException):
    """The time is over.  No `except Exception` of the code in question stops it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises OutOfTime in the body after `seconds`; elsewhere than in the main thread, never."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise OutOfTime(f"not over after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    # Again and again: code that catches everything gets another one.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
