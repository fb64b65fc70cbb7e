# SPDX-License-Identifier: GPL-2.0-only
"""Counters are hit once an execution; the guard ends a blind fuzzer and no other."""

from __future__ import annotations

from typing import Any

import pytest

from difffuzz.errors import MissingTool
from difffuzz.fuzz.branches import MAX_BRANCHES, Branches
from difffuzz.fuzz.feedback import GUARD_EXECUTIONS, CoverageGuard, Feedback
from difffuzz.program.limits import FEATURES


class FakeAtheris:
    """The two functions of atheris that the feedback stands on."""

    def __init__(self) -> None:
        self.reserved = 0
        self.hits: list[int] = []

    def _reserve_counter(self) -> int:
        self.reserved += 1
        return self.reserved

    def _trace_branch(self, counter: int) -> None:
        self.hits.append(counter)


def test_each_state_and_branch_has_a_counter_that_is_hit_once() -> None:
    atheris = FakeAtheris()
    branches = Branches()
    module: dict[str, Any] = branches.names
    exec(branches.compile("def a(): 1\ndef b(x, y): f(x or y)\ndef c(): 1", "m.py", "m"), module)
    feedback = Feedback(atheris, branches)
    assert atheris.reserved == FEATURES + MAX_BRANCHES + 1
    module["f"] = id
    module["c"]()
    feedback.start()
    module["a"]()
    module["b"](0, 1)
    assert feedback.finish([7, 7, FEATURES - 1])
    assert sorted(atheris.hits) == [8, FEATURES, FEATURES + 1, FEATURES + 2, FEATURES + 3]
    feedback.start()
    assert not feedback.finish([7])
    assert feedback.finish([8])
    assert feedback.states == {7, 8, FEATURES - 1}
    assert feedback.branches == {0, 1, 2}


def test_the_guard_leaves_when_coverage_has_grown() -> None:
    guard = CoverageGuard()
    assert [guard.after(branches) for branches in (2, 2, 3)] == [False, False, True]


@pytest.mark.parametrize("branches", [0, 7])
def test_the_guard_ends_a_fuzzer_whose_coverage_does_not_move(branches: int) -> None:
    guard = CoverageGuard()
    for _ in range(GUARD_EXECUTIONS - 1):
        assert not guard.after(branches)
    with pytest.raises(MissingTool, match=f"{branches} branches .* the fuzzer is blind"):
        guard.after(branches)
