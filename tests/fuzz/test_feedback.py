# SPDX-License-Identifier: GPL-2.0-only
"""State counters count each feature once; the guard ends a blind fuzzer and no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from difffuzz.errors import MissingTool
from difffuzz.fuzz.feedback import GUARD_EXECUTIONS, N_FEATURES, CoverageGuard, StateCounters


class FakeAtheris:
    """The two functions of atheris that the feedback stands on."""

    def __init__(self) -> None:
        self.reserved = 0
        self.hits: list[int] = []
        self._trace_branch: Callable[[int], None] = self.hits.append

    def _reserve_counter(self) -> int:
        self.reserved += 1
        return self.reserved


def test_each_feature_has_a_counter_and_counts_once() -> None:
    atheris = FakeAtheris()
    counters = StateCounters(atheris)
    assert atheris.reserved == N_FEATURES + 1
    counters.hit([7, 7, N_FEATURES - 1])
    counters.hit([7])
    assert sorted(atheris.hits) == [8, 8, N_FEATURES]
    assert counters.seen == {7, N_FEATURES - 1}


def run(guard: CoverageGuard, atheris: FakeAtheris, branches: list[int]) -> bool:
    guard.before()
    for branch in branches:
        atheris._trace_branch(branch)
    return guard.after()


def test_the_guard_leaves_when_a_second_execution_adds_a_branch() -> None:
    atheris = FakeAtheris()
    plain = atheris._trace_branch
    guard = CoverageGuard(atheris)
    assert not run(guard, atheris, [1, 2])
    assert not run(guard, atheris, [2])
    assert run(guard, atheris, [3])
    assert atheris._trace_branch == plain
    assert atheris.hits == [1, 2, 2, 3]


@pytest.mark.parametrize("branches", [[], [1]])
def test_the_guard_ends_a_fuzzer_whose_coverage_does_not_move(branches: list[int]) -> None:
    atheris = FakeAtheris()
    guard = CoverageGuard(atheris)
    for _ in range(GUARD_EXECUTIONS - 1):
        assert not run(guard, atheris, branches)
    with pytest.raises(MissingTool, match=f"{len(branches)} branches .* the fuzzer is blind"):
        run(guard, atheris, branches)
