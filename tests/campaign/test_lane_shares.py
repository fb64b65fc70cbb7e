# SPDX-License-Identifier: GPL-2.0-only
"""Time moves to the lane that brings news; no lane starves."""

from __future__ import annotations

import pytest

from difffuzz.campaign.lane_shares import LaneShares


def turns(
    portfolio: LaneShares, worth: dict[str, int], rounds: int, jobs: int = 2
) -> dict[str, float]:
    """CPU seconds of each lane after so many turns of 300 s, each with that many new features."""
    lanes: list[str] = [""] * jobs
    for number in range(rounds * jobs):
        place = number % jobs
        taken = [lane for at, lane in enumerate(lanes) if at != place and lane]
        lanes[place] = portfolio.next_lane(taken)
        portfolio.note(lanes[place], 300.0, worth[lanes[place]], 0)
    return {name: one.cpu for name, one in portfolio.accounts.items()}


def test_shares_are_equal_at_first_and_add_up() -> None:
    shares = LaneShares(["a", "b", "c"], 0.1, 300.0).shares()
    assert list(shares.values()) == pytest.approx([1 / 3] * 3)
    portfolio = LaneShares(["a", "b"], 0.1, 300.0)
    portfolio.note("a", 1000.0, 5000, 2)
    assert sum(portfolio.shares().values()) == pytest.approx(1.0)


def test_time_moves_to_what_brings_news() -> None:
    portfolio = LaneShares(["rich", "poor", "dry"], 0.1, 300.0)
    spent = turns(portfolio, {"rich": 600, "poor": 60, "dry": 0}, 60)
    total = sum(spent.values())
    assert spent["rich"] / total > 0.5
    assert spent["poor"] / total > 0.05
    assert spent["dry"] / total > 0.05


def test_what_was_rich_long_ago_counts_less() -> None:
    portfolio = LaneShares(["old", "new"], 0.1, 300.0)
    turns(portfolio, {"old": 600, "new": 6}, 20)
    before = portfolio.shares()["old"]
    turns(portfolio, {"old": 0, "new": 600}, 40)
    assert before > 0.6
    assert portfolio.shares()["old"] < 0.3


def test_a_finding_counts_as_many_features() -> None:
    portfolio = LaneShares(["a", "b"], 0.1, 300.0)
    portfolio.note("b", 0.0, 0, 2)
    assert portfolio.shares()["b"] > 0.7


def test_two_workers_are_in_two_lanes_that_are_alike() -> None:
    portfolio = LaneShares(["a", "b", "c"], 0.1, 300.0)
    first = portfolio.next_lane([])
    second = portfolio.next_lane([first])
    assert second != first
    assert portfolio.next_lane([first, second]) not in (first, second)
