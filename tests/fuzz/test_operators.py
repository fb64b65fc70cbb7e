# SPDX-License-Identifier: GPL-2.0-only
"""Figures of operators: every one that had a part in an input counts; workers add up."""

from __future__ import annotations

from difffuzz.fuzz.operators import OperatorCounts, OperatorStats, total_operators


def test_each_operator_of_an_input_counts() -> None:
    counts = OperatorCounts()
    counts.count(("insert", "delete"), True)
    counts.count(("insert",), False)
    counts.count((), True)
    assert counts.by_name == {"insert": OperatorStats(2, 1), "delete": OperatorStats(1, 1)}


def test_workers_add_up_and_stay_as_they_are() -> None:
    one = {"move": OperatorStats(3, 1)}
    other = {"move": OperatorStats(1, 0), "fresh": OperatorStats(2, 2)}
    total = total_operators([one, other])
    assert list(total) == ["fresh", "move"]
    assert total == {"fresh": OperatorStats(2, 2), "move": OperatorStats(4, 1)}
    assert one == {"move": OperatorStats(3, 1)}
