# SPDX-License-Identifier: GPL-2.0-only
"""Who wants to note a run as it goes: what the engines tell such a one, and what it hands to them.

The engines ask it for the schedulers and sides of a run.  Without one nothing is noted, and nothing
costs anything.
"""

from __future__ import annotations

from typing import Protocol

from difffuzz.program import Config, Op
from difffuzz.sched.choice import Strategy
from difffuzz.sched.interleave import Interleaver
from difffuzz.sides import KvmFactory, SideFactory
from difffuzz.sides.base import Outcome, Side
from difffuzz.sides.kvm_side import KvmSide


class NoteTaker(Protocol):
    """Sides are told by their numbers, 0 and 1.  A side that starts again has its notes anew."""

    def start(self, number: int, factory: SideFactory, config: Config) -> Side:
        """The side of a lockstep run.  Errors as from `factory.start()`."""

    def interleaver(self, number: int, strategy: Strategy, step_limit: int) -> Interleaver:
        """The scheduler of a side's concurrent run."""

    def start_among_others(
        self, number: int, factory: KvmFactory, config: Config, sched: Interleaver
    ) -> KvmSide:
        """The side of that run.  Errors as from `factory.start()`."""

    def begins(self, number: int, index: int, op: Op) -> None:
        """The current task begins the program's operation `index`, or one that has to end first."""

    def ends(self, number: int, op: Op, outcome: Outcome | None) -> None:
        """It is over; None: the side's kernel crashed."""
