# SPDX-License-Identifier: GPL-2.0-only
"""What a series is: it gives each of many runs of a program its strategy, and learns from them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from difffuzz.sched.strategy.reads_from import Pair, ReadsFrom
from difffuzz.sched.strategy.trail import Noted, Trail

from .known import Known

Followed = Noted | ReadsFrom
"""A strategy that notes its run."""


class Series(Protocol):
    """One object serves the runs of one program on one side."""

    def next(self) -> Followed:
        """The strategy of the next run."""

    def learn(self, run: Trail, fresh: list[Pair]) -> None:
        """The run of the last strategy is over; `fresh`: what it was the first to show."""


MakeSeries = Callable[[Random, Known], Series]
