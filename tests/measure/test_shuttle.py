# SPDX-License-Identifier: GPL-2.0-only
"""shuttle's benchmarks restated: all events happen, whatever the order."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from difffuzz.measure.bench.shuttle import (
    EVENTS,
    Body,
    buffer,
    counter,
    events_per_second,
    lock,
    run,
)
from difffuzz.sched import KernelSplat
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.strategy import Pct, Pos, RandomWalk, Surw


def test_the_buffer_ends_under_every_strategy() -> None:
    for seed in range(20):
        rng = Random(seed)
        for strategy in (RandomWalk(rng, 0.0), Pct(rng, 2, 400), Pos(rng), Surw(rng, {"lock"}, {})):
            assert run(buffer, strategy) > 6 * 9 * 4  # points of an event, at least


def test_a_consumer_without_producers_waits_for_ever() -> None:
    def consumers(sched: Interleaver) -> list[Body]:
        return buffer(sched)[:3]

    with pytest.raises(KernelSplat, match="has_elements"):
        run(consumers, RandomWalk(Random(1), 0.0))


def test_events_are_steps() -> None:
    assert EVENTS < run(partial(counter, 5), Pct(Random(0), 2, EVENTS)) <= EVENTS + 10
    assert run(partial(lock, 100), RandomWalk(Random(0), 0.0)) > 2 * EVENTS


def test_every_benchmark_has_a_rate() -> None:
    rates = events_per_second(0.01)
    assert len(rates) == 10
    assert min(rates.values()) > 0
