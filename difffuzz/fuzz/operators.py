# SPDX-License-Identifier: GPL-2.0-only
"""Which operators earn their keep: mutators, new programs, crossover."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class OperatorStats(msgspec.Struct):
    """Of one operator.  An input that several made, one after the other, counts for each."""

    inputs: int = 0
    """Programs that it made and that were run."""
    earned: int = 0
    """Those among them that took a branch or reached a state which none had before."""


class OperatorCounts:
    """The figures of one worker, by name."""

    __slots__ = ("by_name",)

    def __init__(self) -> None:
        self.by_name: dict[str, OperatorStats] = {}

    def count(self, names: Iterable[str], earned: bool) -> None:
        """An input that was run, and what made it."""
        for name in names:
            stats = self.by_name.get(name)
            if stats is None:
                stats = self.by_name[name] = OperatorStats()
            stats.inputs += 1
            stats.earned += earned


def total_operators(each: Iterable[dict[str, OperatorStats]]) -> dict[str, OperatorStats]:
    """Of all workers, by name."""
    total: dict[str, OperatorStats] = {}
    for by_name in each:
        for name, stats in by_name.items():
            kept = total.setdefault(name, OperatorStats())
            kept.inputs += stats.inputs
            kept.earned += stats.earned
    return dict(sorted(total.items()))
