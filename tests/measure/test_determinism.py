# SPDX-License-Identifier: GPL-2.0-only
"""scripts/determinism: a digest that stays, and a program that differs is named with its choice."""

from __future__ import annotations

import random
import sys

import pytest

from difffuzz.measure import determinism
from difffuzz.program import Program
from difffuzz.sched.strategy import RandomWalk, Strategy


def run(monkeypatch: pytest.MonkeyPatch, count: int) -> int:
    monkeypatch.setattr(sys, "argv", ["determinism", "--count", str(count)])
    return determinism.main()


def test_two_runs_are_equal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    for _ in range(2):
        assert run(monkeypatch, 3) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0].startswith("3 programs twice, 0 differ, digest ")
    assert printed[0] == printed[1]


def test_a_choice_that_differs_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = random.Random(1)

    def moody(program: Program) -> Strategy:
        return RandomWalk(shared, 5.0)

    monkeypatch.setattr(determinism, "strategy", moody)
    assert run(monkeypatch, 2) == 1
    printed = capsys.readouterr()
    assert "2 programs twice, 2 differ" in printed.out
    assert [line.split(":")[0] for line in printed.err.splitlines()] == ["program 0", "program 1"]
    assert "choice " in printed.err
