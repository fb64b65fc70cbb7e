# SPDX-License-Identifier: GPL-2.0-only
"""Programs of the catalogue as they are exported."""

from __future__ import annotations

from pathlib import Path

from difffuzz.export.reproducer import Reproducer, name_of
from difffuzz.program import parse
from difffuzz.sides.names import portable_name
from difffuzz.variants.catalogue import Bug, catalogue

BUGS = [bug for bug in catalogue() if bug.program]


def reproducer(bug: Bug, left: str = "", right: str = "") -> Reproducer:
    """The bug's program on the sides that show it, or on others."""
    shows = [portable_name(side) for side in bug.sides()]
    notes = {"oracle": bug.oracle, "detail": bug.subject}
    return Reproducer(
        name_of(Path(bug.id)),
        parse(bug.program),
        notes,
        left or shows[0],
        right or shows[1],
        "portfolio",
    )
