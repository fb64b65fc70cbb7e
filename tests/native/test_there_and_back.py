# SPDX-License-Identifier: GPL-2.0-only
"""Schedules that go to another thread and back, played in C and judged by the engine."""

from __future__ import annotations

import pytest

from difffuzz.engine import concurrent
from difffuzz.engine.explore import Exploration
from difffuzz.engine.there_and_back import there_and_back
from difffuzz.errors import UsageError
from difffuzz.program import parse
from difffuzz.running.sweep import Swept, sweep
from difffuzz.sides import open_side

from .test_kernel_side import LINK_RACE, kernel


def test_a_race_of_two_preemptions_is_found_and_replays() -> None:
    program = parse(LINK_RACE)._replace(schedule=())
    sides = kernel("legacy"), kernel("tdp")
    found = there_and_back(program, *sides, sides=(1,), stop=lambda so_far: bool(so_far.shown))
    assert found.shown
    shown = found.shown[0]
    assert 1 <= len(shown.schedule) <= 3
    verdict = concurrent.run(program._replace(schedule=shown.schedule), *sides)
    assert [one.signature for one in verdict.divergences] == [shown.divergence.signature]


def test_one_departure_is_all_that_a_sweep_plays() -> None:
    program = parse(LINK_RACE)._replace(schedule=())
    native = kernel("tdp")
    played: list[int] = []

    def stop(so_far: Exploration) -> bool:
        played.append(so_far.schedules)
        return False

    found = there_and_back(program, native, native, sides=(1,), back=False, stop=stop)
    assert found.complete
    assert played  # asked after each run with a preemption
    assert not found.shown  # this one takes two
    swept = Swept()
    sweep(program, native, native, lambda: False, swept)
    assert swept.complete
    assert swept.schedules == 2 * found.schedules


def test_without_a_second_thread_there_is_nothing_to_switch_to() -> None:
    program = parse("difffuzz program v1\nslot 0 gfn=0x0 pages=0x10 area=1\nvcpu0: write gfn=0x0\n")
    found = there_and_back(program, kernel("legacy"), kernel("tdp"))
    assert found.complete
    assert not found.shown


def test_a_model_is_refused() -> None:
    program = parse("difffuzz program v1\nvcpu0: read gfn=0x0\n")
    with pytest.raises(UsageError, match="no native side"):
        there_and_back(program, open_side("legacy"), open_side("tdp"))
