# SPDX-License-Identifier: GPL-2.0-only
"""What oracles report: violations, divergences with their signature, and the verdict of a run."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple


class Violation(NamedTuple):
    """A property that does not hold.  `side` is the side's name, or both for a comparison."""

    oracle: str
    side: str
    location: str
    detail: str


class Divergence(NamedTuple):
    """A violation, with the operation after which it showed (None: at the end of the program)."""

    oracle: str
    signature: str
    detail: str
    op_index: int | None


def signature(violation: Violation, operation: str) -> str:
    """What makes two divergences the same bug: oracle, sides, operation kind, location.

    A patched side counts as its base, so that a signature outlives the name of a patch file.
    """
    sides = "/".join(name.split("+")[0] for name in violation.side.split("/"))
    return f"{violation.oracle}:{sides}:{operation}:{violation.location}"


class Verdict:
    """What one run showed.

    `allowed` counts how often each rule excused a difference; `steps` the preemption points that
    both sides passed, which tells what the run cost without a clock.  Of a concurrent run:
    `schedule`, if there is a divergence, where it departed from run-to-block; `meetings`, see
    engine/meetings.py.
    """

    __slots__ = (
        "allowed",
        "divergences",
        "features",
        "meetings",
        "operations",
        "schedule",
        "steps",
        "trace",
    )

    def __init__(self) -> None:
        self.divergences: list[Divergence] = []
        self.operations = 0
        self.steps = 0
        self.features: set[int] = set()
        self.meetings: set[tuple[int, int]] = set()
        self.allowed: Counter[str] = Counter()
        self.trace: list[object] = []
        self.schedule: tuple[tuple[int, int], ...] | None = None
