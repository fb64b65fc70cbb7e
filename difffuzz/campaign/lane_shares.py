# SPDX-License-Identifier: GPL-2.0-only
"""Which lane a worker goes to: time moves to where coverage is new, and every lane keeps some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HALF_LIFE: Final = 1800.0
"""Seconds of a lane's CPU time after which what it found counts half."""
FINDING_WORTH: Final = 50
"""A new finding counts as so many new features."""
WINDOW: Final = 7200.0
"""Seconds of all lanes' CPU time after which what a lane was given counts half."""
HOPE: Final = (20.0, 60.0)
"""Features and CPU seconds that each lane begins with, so that a first look decides nothing."""


@dataclass(slots=True)
class Account:
    """What a lane had, and what it brought."""

    cpu: float = 0.0
    """Seconds, of all its workers."""
    features: int = 0
    findings: int = 0
    recent_worth: float = HOPE[0]
    recent_cpu: float = HOPE[1]
    given: float = 0.0
    """CPU seconds of late, as all lanes measure it."""

    def add(self, cpu: float, features: int, findings: int) -> None:
        """What came since the last time."""
        keep = 0.5 ** (cpu / HALF_LIFE)
        self.recent_worth = self.recent_worth * keep + features + FINDING_WORTH * findings
        self.recent_cpu = self.recent_cpu * keep + cpu
        self.cpu += cpu
        self.features += features
        self.findings += findings

    @property
    def rate(self) -> float:
        """New features a CPU second, of late."""
        return self.recent_worth / self.recent_cpu


class LaneShares:
    """Shares of the time by lane; `least` is what each gets whatever it brings."""

    def __init__(self, lanes: Sequence[str], least: float, turn: float) -> None:
        """`turn`: seconds that a worker stays in its lane."""
        self._turn = turn
        self.accounts = {name: Account() for name in lanes}
        self._least = least

    def note(self, lane: str, cpu: float, features: int, findings: int) -> None:
        """What a lane had and brought since the last time."""
        keep = 0.5 ** (cpu / WINDOW)
        for one in self.accounts.values():
            one.given *= keep
        self.accounts[lane].given += cpu
        self.accounts[lane].add(cpu, features, findings)

    def shares(self) -> dict[str, float]:
        """They add up to 1: the least one each, the rest in proportion to the rates."""
        rates = {name: one.rate for name, one in self.accounts.items()}
        total = sum(rates.values())
        rest = 1 - self._least * len(rates)
        return {
            name: self._least + rest * (rate / total if total else 1 / len(rates))
            for name, rate in rates.items()
        }

    def next_lane(self, taken: Sequence[str]) -> str:
        """The lane that has had least for its share, where others work in the `taken` ones.

        Who works in a lane counts as if the turn were over.
        """
        shares = self.shares()

        def had(name: str) -> float:
            given = self.accounts[name].given + taken.count(name) * self._turn
            return (given + self._turn) / max(shares[name], 1e-9)

        return min(shares, key=had)
