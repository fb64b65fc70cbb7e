# SPDX-License-Identifier: GPL-2.0-only
"""One run at a time in a folder for results."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import UsageError, unwritable

LOCK = ".lock"
LOOK_SECONDS: Final = 0.2
"""Who only asks whether a run works there is done by then."""


def is_locked(out: Path) -> bool:
    """Does a run work in the folder?"""
    try:
        with (out / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


class OutLock:
    """Held from its making to close(), or to the end of the process, however that comes.

    UsageError: another run holds it.  unwritable(): the folder cannot be written.
    """

    def __init__(self, out: Path) -> None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._file = open(out / LOCK, "a+")  # noqa: SIM115 # held for long
        except OSError as error:
            raise unwritable(out, error) from error
        try:
            self._take()
        except OSError:
            self._file.seek(0)
            owner = self._file.read(32).strip() or "another"
            self._file.close()
            text = f"process {owner} works in this folder: wait for it, or take another folder"
            raise UsageError(f"{out}: {text}") from None
        with suppress(OSError):  # full: the others are told of "another" process
            self._file.truncate(0)
            self._file.write(str(os.getpid()))
            self._file.flush()

    def _take(self) -> None:
        """OSError: another run has it."""
        last = time.monotonic() + LOOK_SECONDS
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                if time.monotonic() > last:
                    raise
                time.sleep(0.01)

    def close(self) -> None:
        """The folder is free."""
        with suppress(OSError):
            self._file.close()
