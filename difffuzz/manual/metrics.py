# SPDX-License-Identifier: GPL-2.0-only
"""The page of metrics: the figures of a fuzzing run, and of a campaign, as --json prints them."""

from __future__ import annotations

import re
from typing import get_args

import msgspec

from ..campaign.status import (
    Count,
    EventStatus,
    LaneStatus,
    SessionStatus,
    Status,
    WorkerStatus,
)
from ..fuzz.findings import Finding
from ..fuzz.operators import OperatorStats
from ..fuzz.stats import Goal, Summary, TakenOver
from .docstrings import documented
from .markdown import HEAD, code, paragraphs, plain, table

PARTS: tuple[tuple[type[msgspec.Struct], str], ...] = (
    (Summary, "A run"),
    (Finding, "Each of `findings`"),
    (OperatorStats, "Each of `operators`, `phrases` and `ways`"),
    (TakenOver, "`taken_over`"),
    (Goal, "`goal`"),
    (Status, "A campaign"),
    (WorkerStatus, "Each of `workers`"),
    (LaneStatus, "Each of `lanes`"),
    (SessionStatus, "Each of `sessions`"),
    (Count, "Each of `counts`"),
    (EventStatus, "Each of `events`"),
)
_MODULE = re.compile(r"\b(?:\w+\.)+")


def page() -> str:
    """The figures, by the structure that has them."""
    lines = [
        f"{HEAD}# Metrics\n",
        "`difffuzz fuzz --json` prints one document, of these figures.\n",
    ]
    for kind, title in PARTS:
        said = documented(kind)
        lines.append(f"## {title}\n")
        lines.append(f"{paragraphs(kind.__doc__ or '')}\n")
        rows = (
            (code(field.name), code(type_name(field.type)), plain(said[field.name]))
            for field in msgspec.structs.fields(kind)
        )
        lines.append(table(("figure", "type", "what it is"), rows))
    return "\n".join(lines)


def type_name(kind: object) -> str:
    """A type as one would say it: `dict[str, int]`."""
    if isinstance(kind, type) and not get_args(kind):
        return kind.__name__
    return _MODULE.sub("", str(kind))
