# SPDX-License-Identifier: GPL-2.0-only
"""What guides libFuzzer: branches of the model taken, and states reached.

A verdict's features (which RET_PF_* for which cause, which SPTE transition, which lock hand-over),
the branches of the instrumented modules and the places of native code each own one 8-bit counter
of those that atheris hands to libFuzzer, so a program that reaches a new state is kept although it
takes no new branch. atheris has no public call for that; `_reserve_counter` and `_trace_branch` are
what its own instrumented code uses. A counter is hit at most once an execution.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import MissingTool
from ..program.limits import FEATURES
from ..shipped import to_reinstall
from .branches import MAX_BRANCHES, Branches

N_GUARDS = 1 << 14
"""Counters for each side that is the kernel's own code; few share one."""
GUARD_EXECUTIONS = 500


class Feedback:
    """The counters of states 0..FEATURES-1 and of branches. Make it before `atheris.Fuzz()`.

    `guards`: of each side that is the kernel's own code, what takes the places it has passed.
    """

    __slots__ = ("_atheris", "_branches", "_first", "_guards", "_trace", "branches", "states")

    def __init__(
        self, atheris: Any, branches: Branches, guards: Sequence[Callable[[], list[int]]] = ()
    ) -> None:
        size = FEATURES + MAX_BRANCHES + N_GUARDS * len(guards)
        counters = [atheris._reserve_counter() for _ in range(size)]
        atheris._reserve_counter()  # of a batch, atheris leaves the last one unregistered
        assert counters[-1] - counters[0] == len(counters) - 1
        self._atheris = atheris
        self._branches = branches
        self._guards = guards
        self._first: int = counters[0]
        self._trace: Callable[[int], None] | None = None
        self.states: set[int] = set()
        """State features reached so far."""
        self.branches: set[int] = set()
        """Branches taken so far."""

    def start(self) -> None:
        """Call this before an execution."""
        self._branches.clear()
        for take in self._guards:
            take()

    def finish(self, features: Iterable[int]) -> bool:
        """Tell libFuzzer what the execution since `start()` took and reached; True: some of that
        for the first time."""
        before = len(self.states) + len(self.branches)
        trace = self._trace
        if trace is None:  # Fuzz() has replaced the function that does nothing
            trace = self._trace = self._atheris._trace_branch
        reached = set(features)
        taken = self._branches.taken
        first = self._first
        each(trace, [first + feature for feature in reached])
        first += FEATURES
        each(trace, [first + branch for branch in taken])
        first += MAX_BRANCHES
        for side, take in enumerate(self._guards):
            passed = take()
            each(trace, [first + guard % N_GUARDS for guard in passed])
            known = MAX_BRANCHES + N_GUARDS * side
            self.branches.update([known + guard for guard in passed])
            first += N_GUARDS
        self.states |= reached
        self.branches |= taken
        return len(self.states) + len(self.branches) > before


def each(call: Callable[[int], None], numbers: list[int]) -> None:
    """Calls it with each number; a loop of Python's own would take longer than the calls."""
    deque(map(call, numbers), maxlen=0)


class CoverageGuard:
    """Ends a fuzzer that is blind, which libFuzzer itself never mentions.

    A model that was imported before the instrumentation, or that does not run at all, takes no
    branch; one that is not driven by the input takes the same ones again and again.
    """

    __slots__ = ("_executions", "_first")

    def __init__(self) -> None:
        self._executions = 0
        self._first = 0

    def after(self, branches: int) -> bool:
        """Call this after each execution with the number of branches taken so far.

        True when coverage has moved and the guard may go.
        """
        self._executions += 1
        if self._executions == 1:
            self._first = branches
        elif branches > self._first:
            return True
        if self._executions >= GUARD_EXECUTIONS:
            raise MissingTool(
                f"coverage does not move: {branches} branches of the model after "
                f"{self._executions} executions, so the fuzzer is blind",
                to_reinstall("atheris"),
            )
        return False
