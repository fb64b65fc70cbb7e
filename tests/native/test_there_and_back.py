# SPDX-License-Identifier: GPL-2.0-only
"""Schedules that go to another thread and back, played in C and judged by the engine."""

from __future__ import annotations

import pytest

from difffuzz.engine import concurrent
from difffuzz.engine.there_and_back import there_and_back
from difffuzz.errors import UsageError
from difffuzz.program import parse
from difffuzz.running.sweep import Swept, sweep
from difffuzz.sides import open_side
from difffuzz.sides.encoded import Encoded, Threads
from difffuzz.sides.played import Played, Player

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


def test_a_run_tells_which_others_depart_from_it() -> None:
    program = parse(LINK_RACE)._replace(schedule=())
    native = kernel("tdp")
    player = Player(native.library, native.tdp_mmu, 1)

    def play(schedule: tuple[tuple[int, int], ...], survey: int = 0) -> Played:
        return player.play(Encoded(program, Threads(schedule, survey=survey)), 60_000)

    told = play((), 1).choices()
    steps = play((), 1).steps
    assert told
    assert play(()).choices() == []
    assert play((), 1).switches() == play(()).switches()  # looking changes nothing
    departures = {
        (step, thread)
        for step in range(1, steps + 1)
        for thread in sorted({op.thread for op in program.ops})
        if play(((step, thread),)).switches()
    }
    assert set(told) == departures
    middle = told[len(told) // 2][0]
    assert play((), middle).choices() == [one for one in told if one[0] >= middle]


def test_one_departure_is_where_a_sweep_begins() -> None:
    program = parse(LINK_RACE)._replace(schedule=())
    native = kernel("tdp")
    one = there_and_back(program, native, native, sides=(1,), back=False)
    assert one.complete
    assert not one.shown  # it takes two
    swept = Swept()
    sweep(program, native, native, lambda: False, swept)
    assert swept.complete
    assert swept.shown
    assert swept.schedules > 100 * one.schedules


def test_without_a_second_thread_there_is_nothing_to_switch_to() -> None:
    program = parse("difffuzz program v1\nslot 0 gfn=0x0 pages=0x10 area=1\nvcpu0: write gfn=0x0\n")
    found = there_and_back(program, kernel("legacy"), kernel("tdp"))
    assert found.complete
    assert not found.shown


def test_a_model_is_refused() -> None:
    program = parse("difffuzz program v1\nvcpu0: read gfn=0x0\n")
    with pytest.raises(UsageError, match="no native side"):
        there_and_back(program, open_side("legacy"), open_side("tdp"))
