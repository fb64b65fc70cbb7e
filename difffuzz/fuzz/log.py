# SPDX-License-Identifier: GPL-2.0-only
"""The log of fuzzing runs: one JSON object a line in OUT/log.jsonl, kept from run to run."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import FilteringBoundLogger

LOG = "log.jsonl"


def open_log(out: Path) -> tuple[FilteringBoundLogger, TextIO]:
    """A logger that appends to the log of that output directory, and the file to close."""
    file = (out / LOG).open("a", encoding="utf-8", buffering=1)
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(file),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    return logger, file
