# SPDX-License-Identifier: GPL-2.0-only
"""A sweep finds what one preemption shows, on either side, and is quiet on the base."""

from __future__ import annotations

import pytest

from difffuzz.engine.explore import explore
from difffuzz.program import Program, parse
from difffuzz.running.runner import Runner
from difffuzz.running.watchdog import Hang
from difffuzz.sched.task import HANG
from difffuzz.variants.catalogue import find

ONE_DEPARTURE = ("ec89e6438671", "fb25ee778aae", "own-walk-flush-ends-early")
"""Bugs of either MMU that one preemption in the right place shows."""

TWO_DEPARTURES = ("21a36ac6b6c7", "61f94478547b")
"""Bugs that take two."""


def program_of(name: str) -> Program:
    """The catalogue's program, without its schedule."""
    return parse(find(name).program)._replace(schedule=())


@pytest.mark.parametrize("name", ONE_DEPARTURE)
def test_one_departure_shows_it(name: str) -> None:
    runner = Runner(*find(name).sides())
    program = program_of(name)
    swept = runner.sweep(program, lambda: False)
    assert swept.complete
    assert find(name).oracle in {one.divergence.oracle for one in swept.shown}
    for divergence, schedule in swept.shown:
        assert len(schedule) <= 2  # one preemption, and perhaps who goes on after a thread's end
        again = runner(program._replace(schedule=schedule))
        assert divergence.signature in {one.signature for one in again.divergences}


@pytest.mark.parametrize("name", TWO_DEPARTURES)
def test_two_departures_follow_by_value(name: str) -> None:
    runner, program = Runner(*find(name).sides()), program_of(name)
    assert not explore(program, *runner.sides, 1).shown
    swept = runner.sweep(program, lambda: False)
    assert swept.complete
    assert find(name).oracle in {one.divergence.oracle for one in swept.shown}
    for divergence, schedule in swept.shown:
        again = runner(program._replace(schedule=schedule))
        assert divergence.signature in {one.signature for one in again.divergences}


@pytest.mark.parametrize("name", ONE_DEPARTURE + TWO_DEPARTURES)
def test_the_base_is_quiet(name: str) -> None:
    swept = Runner("legacy", "tdp").sweep(program_of(name), lambda: False)
    assert swept.complete
    assert not swept.shown
    assert swept.schedules > 2


def test_it_ends_when_it_is_told_to() -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 5

    swept = Runner("legacy", "tdp").sweep(program_of("ec89e6438671"), stop)
    assert not swept.complete
    assert swept.schedules <= 5


def test_what_ends_it_takes_nothing_away() -> None:
    bug = find("ec89e6438671")
    runner = Runner(*bug.sides())
    known = runner.sweep(program_of(bug.id), lambda: False)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        if asked == known.schedules:
            raise Hang
        return False

    swept = runner.sweep(program_of(bug.id), stop)
    signatures = [one.divergence.signature for one in swept.shown]
    assert signatures[-1].endswith(HANG)
    assert known.shown[0].divergence.signature in signatures


def test_what_has_no_race_has_nothing_to_sweep() -> None:
    runner = Runner("legacy", "tdp")
    slot = "difffuzz program v1\nslot 0 gfn=0 pages=8 area=1\n"
    assert not runner.sweep_cost(parse(f"{slot}vcpu0: read gfn=0\nvmm: zap_gfn_range gfn=0 n=8\n"))
    assert not runner.sweep_cost(
        parse(f"{slot}vcpu0: read gfn=0\nvmm: sync\nvmm: zap_gfn_range gfn=0 n=8\n")
    )
    assert (
        runner.sweep_cost(
            parse(f"{slot}vmm: sync\nvcpu0: read gfn=0\nvmm: zap_gfn_range gfn=0 n=8\n")
        )
        == 2
    )
    assert not Runner("spec", "tdp").sweep_cost(program_of("ec89e6438671"))
