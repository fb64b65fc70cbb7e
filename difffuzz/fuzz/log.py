# SPDX-License-Identifier: GPL-2.0-only
"""The log of fuzzing runs: one JSON object a line in OUT/log.jsonl, kept from run to run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger

LOG = "log.jsonl"


class LogFile:
    """Lines go to the end of a file; what a full disk does not take goes with the next one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._waiting = b""

    def write(self, text: str) -> None:
        """Takes one line."""
        self._waiting += text.encode()
        with suppress(OSError):
            written = self._file.write(self._waiting)
            self._waiting = self._waiting[written:]

    def flush(self) -> None:
        """Nothing waits that could be written."""

    def close(self) -> None:
        """No more lines."""
        self._file.close()


def open_log(out: Path) -> tuple[FilteringBoundLogger, LogFile]:
    """A logger that appends to the log of that output directory, and the file to close."""
    file = LogFile(out / LOG)
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(cast(TextIO, file)),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    return logger, file
