# SPDX-License-Identifier: GPL-2.0-only
"""Ways to schedule programs: what shows more that is new for its cost is taken more often."""

from __future__ import annotations

from collections import Counter
from random import Random

from difffuzz.oracle.verdict import Verdict, Violation
from difffuzz.program import generate, parse
from difffuzz.running.runner import Runner
from difffuzz.running.schedule import strategy_for, way_of
from difffuzz.running.ways import RUNS, SEARCHES, Ways

RACE = parse(
    "difffuzz program v1\nslot 0 gfn=0 pages=8 area=1\nvcpu0: read gfn=0\n"
    "host0: dontneed area=1 page=0 n=1\n"
)


def verdict(features: range, steps: int = 600) -> Verdict:
    found = Verdict()
    found.features |= set(features)
    found.steps = steps
    return found


def test_what_shows_new_states_gets_more() -> None:
    ways = Ways()
    for number in range(60):
        ways.ran("PCT", verdict(range(number * 5, number * 5 + 5)))
        ways.ran("run to block", verdict(range(5)))
    shares = ways.runs.of()
    assert shares["PCT"] > 3 * shares["run to block"]


def test_a_search_is_weighed_by_its_steps() -> None:
    ways = Ways()
    for number in range(60):
        news = range(number * 10, number * 10 + 5), range(number * 10 + 5, number * 10 + 10)
        ways.searched("surw", verdict(news[0]), 1_000)
        ways.searched("exhaustive", verdict(news[1]), 10_000)
    shares = ways.searches.of()
    assert shares["surw"] > 3 * shares["exhaustive"]


def test_a_divergence_is_worth_more_than_states() -> None:
    ways = Ways()
    for number in range(20):
        bad = verdict(range(0))
        bad.report(Violation("warn", "tdp", "here", "text"), "read", None)
        ways.searched("pos", bad, 1_000)
        ways.searched("surw", verdict(range(number, number + 1)), 1_000)
    shares = ways.searches.of()
    assert shares["pos"] > 3 * shares["surw"]


def test_shares_decide_how_programs_run() -> None:
    programs = [generate(Random(seed), concurrent=True) for seed in range(200)]
    programs = [one for one in programs if not one.schedule]

    def drawn(shares: dict[str, float] | None) -> Counter[str]:
        return Counter(way_of(one, strategy_for(one, shares=shares)) for one in programs)

    assert drawn({"POS": 1.0})["POS"] > len(programs) / 2  # the others are too long for it
    assert drawn({"random walk": 1.0}) == {"random walk": len(programs)}
    assert "POS" not in drawn(None)
    assert set(drawn(RUNS)) == set(RUNS)


def test_a_runner_learns_and_what_it_draws_is_repeatable() -> None:
    def ways_of(seed: int) -> tuple[list[str], dict[str, float]]:
        runner = Runner("legacy", "tdp", "concurrent", explores=True)
        assert runner.search is not None
        rng = Random(seed)
        taken = []
        for _ in range(12):
            runner(generate(rng, concurrent=True)._replace(schedule=()))
            taken.append(runner.way)
        return taken, runner.search.ways.runs.of()

    taken, shares = ways_of(1)
    assert (taken, shares) == ways_of(1)
    assert shares != Ways().runs.of()
    known = {*RUNS, *(f"{way} search" for way in SEARCHES)}
    assert set(taken) <= known


def test_a_traced_run_does_not_depend_on_what_was_learned() -> None:
    plain = Runner("legacy", "tdp", "concurrent")
    learned = Runner("legacy", "tdp", "concurrent", explores=True)
    program = RACE._replace(ops=RACE.ops * 3)
    assert learned.search is not None
    for number in range(200):
        learned.search.ways.ran("POS", verdict(range(number * 5, number * 5 + 5)))
    assert way_of(program, strategy_for(program, shares=learned.search.ways.runs.of())) == "POS"
    plain(program, trace=True)
    learned(program, trace=True)
    assert learned.way == plain.way != "POS"
