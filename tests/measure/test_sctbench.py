# SPDX-License-Identifier: GPL-2.0-only
"""SCTBench restated: every bug can be met, is gone when it is mended, and trials are repeatable."""

from __future__ import annotations

import json

import pytest

from difffuzz.errors import UsageError
from difffuzz.measure.sctbench import __main__ as command
from difffuzz.measure.sctbench.programs import PROGRAMS
from difffuzz.measure.sctbench.published import published
from difffuzz.measure.sctbench.table import Row, table
from difffuzz.measure.sctbench.trial import STRATEGIES, trial


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_bug_is_met_and_can_be_mended(program: str) -> None:
    assert trial(program, "portfolio", 0, 200) > 0
    assert trial(program, "portfolio", 0, 20, mended=True) == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_meets_a_simple_bug_and_is_repeatable(strategy: str) -> None:
    found = [trial("reorder_3", strategy, seed, 1000) for seed in range(3)]
    assert all(found)
    assert found == [trial("reorder_3", strategy, seed, 1000) for seed in range(3)]
    assert trial("reorder_3", strategy, 0, 50, mended=True) == 0


def test_published_figures_are_of_these_programs() -> None:
    figures = published()
    assert all(set(one) == set(PROGRAMS) for one in figures.values())
    assert sum(one.found for one in figures["RFF"].values()) == 440


def test_the_table_puts_ours_beside_theirs() -> None:
    rows = [Row("account", "pos", 2, 2, 4.0), Row("lazy01", "pos", 2, 1, 9.0)]
    text = table(rows, 10).splitlines()
    assert text[0].split()[:3] == ["pos", "RFF", "RFF"]
    assert text[1].split()[:2] == ["account", "4.0"]
    assert text[2].split()[:3] == ["lazy01", "9.0", "(1/2)"]
    assert text[-2].split()[:2] == ["found", "3/4"]
    assert text[-1].split()[:3] == ["geometric", "mean", "6.00"]


def test_the_command_always_runs_naive_random(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.argv",
        ["x", "--programs", "lazy01", "--strategies", "pos", "--seeds", "2", "--json"],
    )
    assert command.main() == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["strategy"] for row in rows] == ["pos", "random"]
    assert all(row["found"] == row["trials"] == 2 for row in rows)


@pytest.mark.parametrize("option", [["--programs", "x"], ["--strategies", "x"], ["--seeds", "0"]])
def test_wrong_use_is_told(option: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["x", *option])
    with pytest.raises(UsageError):
        command.main()
