# SPDX-License-Identifier: GPL-2.0-only
"""One trial: schedules of a program under a strategy until its bug shows."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from random import Random

from ...sched.interleave import Interleaver
from ...sched.series import SERIES, Known
from ...sched.strategy import Strategy
from ...sched.strategy.exhaustive import BoundedSearch, Merge
from ...sched.tracing import Merged, Tracing
from ...sched.transitions import Decision
from .programs import STEPS, play

EXHAUSTIVE = {"exhaustive-1": 1, "exhaustive-2": 2}
"""Searches of all schedules with so many preemptions, in a random order."""
STRATEGIES = (*SERIES, *EXHAUSTIVE)


def trial(program: str, strategy: str, seed: int, schedules: int, mended: bool = False) -> int:
    """After how many schedules the bug shows; 0 if not within so many."""
    if strategy in EXHAUSTIVE:
        return _search(program, EXHAUSTIVE[strategy], seed, schedules, mended)
    known = Known()
    series = SERIES[strategy](Random(seed), known)
    for number in range(1, schedules + 1):
        run = series.next()
        if play(program, Interleaver(run, STEPS), mended):
            return number
        series.learn(run, known.learn(run))
    return 0


def _search(program: str, preemptions: int, seed: int, schedules: int, mended: bool) -> int:
    shown = [False]

    def run(
        strategy: Strategy, merged: Merge | None, worth: Merge | None, since: Decision | None
    ) -> list[Decision]:
        sched = Tracing(strategy, STEPS)
        sched.start_tracing(merged, worth, since)
        with suppress(Merged):
            shown[0] = play(program, sched, mended)
        return sched.decisions

    search = BoundedSearch(run, preemptions, order=Random(seed))
    search.search(partial(_is_over, search, shown, schedules))
    return search.schedules if shown[0] else 0


def _is_over(search: BoundedSearch, shown: list[bool], schedules: int) -> bool:
    return shown[0] or search.schedules >= schedules
