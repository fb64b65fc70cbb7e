# SPDX-License-Identifier: GPL-2.0-only
"""Bugs that the generator alone needs many programs for, all in one pair of sides.

A program that diverges there is run again with each bug alone: which ones does it show?  So one run
hunts all of them, and counts for each what it would take alone, but for programs that one bug ends
before they come to what another would have shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ...variants.catalogue import Bug, find

if TYPE_CHECKING:  # a judge loads the model, which may have to wait for the instrumentation
    from ...program import Program
    from ..judge import Judge

CATALOGUE: Final = (
    "386d69f9f29b",
    "817fa998362d",
    "ef057cbf825e",
    "b64d740ea7dd",
    "own-clear-log-edge",
)
"""Those of lockstep that `random` needs more than 500 programs for, whose guests have paging, and
whose patches apply together."""
PLANTED: Final = (
    "planted-aging-keeps-dirt",
    "planted-async-pf-in-smm",
    "planted-clear-log-whole-words",
    "planted-clearing-dirt-untold",
    "planted-last-tracker",
    "planted-one-range-remembered",
    "planted-pml-is-a-flag",
    "planted-split-1g-executable",
    "planted-split-forgets-tracking",
    "planted-tested-first-leaf",
    "planted-zap-first-slot",
    "planted-zap-range-flush-short",
)
"""Put in by hand, each in a state that takes several steps."""


def hard_bugs() -> list[Bug]:
    """All of them."""
    return [find(name) for name in (*CATALOGUE, *PLANTED)]


def sides(bugs: Sequence[Bug]) -> tuple[str, str]:
    """The two MMUs, each with the patches that are hunted there."""
    left, right = ["legacy"], ["tdp"]
    for bug in bugs:
        one, other = bug.sides()
        left += one.split("+")[1:]
        right += other.split("+")[1:]
    return "+".join(left), "+".join(right)


class Attribution:
    """Which bugs were shown, and by which program first."""

    def __init__(self, bugs: Sequence[Bug]) -> None:
        self._bugs = bugs
        self._judges: dict[str, Judge] = {}
        self.first: dict[str, int] = {}
        """By bug: the number of the execution that showed it, from 1."""

    @property
    def complete(self) -> bool:
        """All are shown."""
        return len(self.first) == len(self._bugs)

    def look(self, program: Program, execution: int) -> None:
        """A program diverged on the sides with all bugs."""
        for bug in self._bugs:
            if bug.id not in self.first and self._judge(bug).shown(program):
                self.first[bug.id] = execution

    def _judge(self, bug: Bug) -> Judge:
        judge = self._judges.get(bug.id)
        if judge is None:
            from ...running.policy import FUZZ_STEPS
            from ...running.runner import Runner
            from ..judge import Judge

            run = Runner(*bug.sides(), "lockstep", FUZZ_STEPS)
            judge = self._judges[bug.id] = Judge(run, bug.plain_sides())
        return judge
