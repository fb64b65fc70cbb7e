# SPDX-License-Identifier: GPL-2.0-only
"""One run at a time in a folder for results."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from ..errors import UsageError

LOCK = ".lock"


class OutLock:
    """Held from its making to close(), or to the end of the process, however that comes.

    UsageError: another run holds it, or the folder cannot be written.
    """

    def __init__(self, out: Path) -> None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._file = open(out / LOCK, "a+")  # noqa: SIM115 # held for long
        except OSError as error:
            raise UsageError(f"{out}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            owner = self._file.read(32).strip() or "another"
            self._file.close()
            text = f"process {owner} works in this folder: wait for it, or give another --out"
            raise UsageError(f"{out}: {text}") from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def close(self) -> None:
        """The folder is free."""
        self._file.close()
