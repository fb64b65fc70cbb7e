# SPDX-License-Identifier: GPL-2.0-only
"""State coverage as extra counters beside branch coverage, and a guard that coverage moves.

A verdict's features (which RET_PF_* for which cause, which SPTE transition, which lock hand-over)
each own one 8-bit counter of those that atheris hands to libFuzzer, so a program that reaches a new
state is kept although it runs no new branch. atheris has no public call for that;
`_reserve_counter` and `_trace_branch` are what its own instrumented code uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..errors import MissingTool

N_FEATURES = 1 << 16
GUARD_EXECUTIONS = 500


class StateCounters:
    """The counters of features 0..N_FEATURES-1. Make it before `atheris.Fuzz()`."""

    __slots__ = ("_atheris", "_first", "_hit", "seen")

    def __init__(self, atheris: Any) -> None:
        counters = [atheris._reserve_counter() for _ in range(N_FEATURES)]
        atheris._reserve_counter()  # of a batch, atheris leaves the last one unregistered
        assert counters[-1] - counters[0] == N_FEATURES - 1
        self._atheris = atheris
        self._first: int = counters[0]
        self._hit: Callable[[int], None] | None = None
        self.seen: set[int] = set()

    def hit(self, features: Iterable[int]) -> None:
        """Count each feature once for the execution that is running."""
        trace = self._hit
        if trace is None:  # Fuzz() has replaced the function that does nothing
            trace = self._hit = self._atheris._trace_branch
        distinct = set(features)
        first = self._first
        for feature in distinct:
            trace(first + feature)
        self.seen |= distinct


class CoverageGuard:
    """Ends a fuzzer that is blind, which libFuzzer itself never mentions.

    It listens to the branch counters until the second execution that adds one. A model that was
    imported before the instrumentation, or that does not run at all, adds none.
    """

    __slots__ = ("_atheris", "_branches", "_executions", "_first", "_trace")

    def __init__(self, atheris: Any) -> None:
        self._atheris = atheris
        self._trace: Callable[[int], None] | None = None
        self._branches: set[int] = set()
        self._first = 0
        self._executions = 0

    def before(self) -> None:
        """Call this before each execution, inside `atheris.Fuzz()`."""
        if self._trace is not None:
            return
        trace = self._trace = self._atheris._trace_branch
        add = self._branches.add

        def listen(counter: int) -> None:
            add(counter)
            trace(counter)

        self._atheris._trace_branch = listen

    def after(self) -> bool:
        """Call this after each execution: True when the guard is content and gone."""
        self._executions += 1
        known = len(self._branches)
        if self._executions == 1:
            self._first = known
        elif known > self._first:
            self._atheris._trace_branch = self._trace
            return True
        if self._executions >= GUARD_EXECUTIONS:
            raise MissingTool(
                f"coverage does not move: {known} branches of the model after "
                f"{self._executions} executions, so the fuzzer is blind",
                "rm -rf .venv && scripts/bootstrap",
            )
        return False
