# SPDX-License-Identifier: GPL-2.0-only
"""Series of runs of one program: they learn, they are repeatable, the portfolio shares."""

from __future__ import annotations

from random import Random

import pytest

from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.series import SERIES, Known
from difffuzz.sched.series.portfolio import Portfolio
from difffuzz.sched.shares import LEAST, Shares


def play(series: str, seed: int, runs: int) -> tuple[Known, list[str]]:
    """Runs of three tasks that share two things; what each run did."""
    known = Known()
    made = SERIES[series](Random(seed), known)
    texts = []
    for _ in range(runs):
        run = made.next()
        sched = Interleaver(run, 1000)
        log: list[str] = []

        def body(sched: Interleaver = sched, log: list[str] = log) -> None:
            name = sched.current.name
            sched.point("x", False)
            log.append(name)
            sched.point("own" + name)
            sched.point("x")
            log.append(name.upper())
            sched.point("y", False)

        tasks = [sched.add_task(name, number) for number, name in enumerate("abc")]
        sched.run([(task, body) for task in tasks])
        made.learn(run, known.learn(run))
        texts.append("".join(log))
    return known, texts


@pytest.mark.parametrize("series", SERIES)
def test_a_series_depends_on_its_seed_only(series: str) -> None:
    known, texts = play(series, 1, 40)
    assert texts == play(series, 1, 40)[1]
    assert texts != play(series, 2, 40)[1]
    assert len(set(texts)) > 5
    assert known.runs == 40


def test_what_is_contended_is_learned() -> None:
    known, _ = play("random", 0, 5)
    assert list(known.contended) == ["x"]
    assert known.expected({"x": None}) == {0: 2.0, 1: 2.0, 2: 2.0}


def test_pairs_that_were_never_seen_come_first() -> None:
    """Reads of `x` come after nobody's write or another's, and so do writes: four pairs."""
    runs = []
    for seed in range(10):
        count = 1
        while len(play("reads-from", seed, count)[0].pairs) < 5:
            count += 1
        runs.append(count)
    # The fifth is the read of `y`, which nobody writes.
    assert max(runs) <= 12


def test_shares_follow_what_was_earned_and_nobody_loses_all() -> None:
    shares = Shares({"good": 1.0, "bad": 1.0, "idle": 1.0})
    assert list(shares.of().values()) == pytest.approx([1 / 3] * 3)
    for _ in range(200):
        shares.earned("good", 1.0)
        shares.earned("bad", 0.0)
    found = shares.of()
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["good"] > found["bad"] * 5
    assert found["bad"] >= LEAST
    drawn = [shares.draw(Random(seed)) for seed in range(300)]
    assert drawn.count("good") > drawn.count("bad") > 0
    assert shares.taken["good"] == drawn.count("good")


def test_cost_counts_against_worth() -> None:
    shares = Shares({"cheap": 1.0, "dear": 1.0})
    for _ in range(100):
        shares.earned("cheap", 1.0, 1.0)
        shares.earned("dear", 1.0, 10.0)
    assert shares.of()["cheap"] > 3 * shares.of()["dear"]


def test_the_portfolio_runs_every_series() -> None:
    known = Known()
    portfolio = Portfolio(Random(0), known)
    for _ in range(400):
        run = portfolio.next()
        portfolio.learn(run, [])
    assert min(portfolio.shares.taken.values()) >= 400 * LEAST / 2
