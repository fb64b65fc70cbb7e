# SPDX-License-Identifier: GPL-2.0-only
"""What oracles report: violations, divergences with their signature, and the verdict of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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
    sides: str
    """The side that broke the property, or both (`legacy/tdp`) if a comparison of them failed."""
    location: str


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
    `schedule`, if there is a divergence, where it departed from run-to-block; `conflicts`, see
    engine/conflicts.py.
    """

    __slots__ = (
        "allowed",
        "conflicts",
        "divergences",
        "features",
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
        self.conflicts: set[tuple[int, int]] = set()
        self.allowed: Counter[str] = Counter()
        self.trace: list[object] = []
        self.schedule: tuple[tuple[int, int], ...] | None = None

    def report(self, violation: Violation, operation: str, index: int | None) -> None:
        """Adds a violation, one for each side and signature.  `operation` is its kind's name."""
        oracle, side, location, detail = violation
        name = signature(violation, operation)
        if all((one.signature, one.sides) != (name, side) for one in self.divergences):
            text = f"{side}: {detail}"
            self.divergences.append(Divergence(oracle, name, text, index, side, location))


def broken_alike(divergences: Iterable[Divergence], left: str, right: str) -> bool:
    """True if both sides broke the same properties in the same places: they do not differ.

    `left` and `right` are the sides' short names.
    """
    broken: dict[str, set[tuple[str, str]]] = {left: set(), right: set()}
    for one in divergences:
        if one.sides not in broken:
            return False
        broken[one.sides].add((one.oracle, one.location))
    return broken[left] == broken[right] != set()
