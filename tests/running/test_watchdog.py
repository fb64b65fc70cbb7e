# SPDX-License-Identifier: GPL-2.0-only
"""An execution that does not end is ended; one that does is left alone."""

from __future__ import annotations

import pytest
from greenlet import greenlet

from difffuzz.running.watchdog import Hang, Watchdog


@pytest.fixture
def watchdog() -> Watchdog:
    return Watchdog(0.05)


def spin() -> None:
    while True:
        pass


def test_a_loop_is_ended(watchdog: Watchdog) -> None:
    watchdog.start()
    with pytest.raises(Hang):
        spin()


def test_a_loop_in_a_greenlet_is_ended_even_if_it_swallows_exceptions(watchdog: Watchdog) -> None:
    def stubborn() -> None:
        while True:
            try:
                spin()
            except Exception:  # the model may do so
                continue

    watchdog.start()
    with pytest.raises(Hang):
        greenlet(stubborn).switch()


def test_what_was_stopped_is_left_alone(watchdog: Watchdog) -> None:
    watchdog.start()
    watchdog.stop()
    assert sum(range(10_000_000)) > 0  # several ticks of CPU time
