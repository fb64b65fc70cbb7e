# SPDX-License-Identifier: GPL-2.0-only
"""A process whose parent is gone ends, whatever it is doing, so that none is left over."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

PARENT: Final = "DIFFFUZZ_PARENT"
_PR_SET_PDEATHSIG: Final = 1


def parent_note() -> dict[str, str]:
    """What a parent adds to the environment of a process that is to end with it."""
    return {PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """From now on the end of the parent is the end of this process, as by `kill -9`.

    Nothing happens if the parent has not left its note.
    """
    parent = os.environ.get(PARENT, "")
    if not parent:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if str(os.getppid()) != parent:  # it has gone already
        os._exit(1)
