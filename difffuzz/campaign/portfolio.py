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


class Portfolio:
    """Shares of the time by lane; `least` is what each gets whatever it brings."""

    def __init__(self, lanes: Sequence[str], least: float) -> None:
        self.accounts = {name: Account() for name in lanes}
        self._least = least

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
        """The lane that is furthest behind its share, where others work in the `taken` ones.

        Who works in a lane counts as if it had its next turn already.
        """
        shares = self.shares()
        workers = len(taken) + 1
        recent = {name: one.recent_cpu for name, one in self.accounts.items()}
        total = sum(recent.values())

        def behind(name: str) -> float:
            return shares[name] * (1 + workers) - taken.count(name) - recent[name] / total

        return max(shares, key=behind)
