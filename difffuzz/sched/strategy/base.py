# SPDX-License-Identifier: GPL-2.0-only
"""What wrappers have in common: a strategy around another."""

from __future__ import annotations

from difffuzz.sched.choice import Strategy


class Wrapper:
    """A strategy around another: asked when that one wants to be."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Strategy) -> None:
        self._inner = inner

    @property
    def next_step(self) -> int:
        """When the strategy inside wants to be asked."""
        return self._inner.next_step

    @next_step.setter
    def next_step(self, step: int) -> None:
        self._inner.next_step = step
