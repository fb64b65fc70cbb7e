# SPDX-License-Identifier: GPL-2.0-only
"""A fuzzer searches the schedules of some small programs."""

from __future__ import annotations

from collections import Counter

import pytest

from difffuzz.engine.explore import Exploration
from difffuzz.fuzz import run
from difffuzz.fuzz.run import Runner
from difffuzz.oracle import Verdict
from difffuzz.program import Program, parse, render
from difffuzz.variants.catalogue import find

RARE = find("21a36ac6b6c7")
"""A bug that takes two preemptions at the right places."""
PROGRAM = parse(RARE.program)._replace(schedule=())


def runner() -> Runner:
    return Runner(*RARE.sides(), "concurrent", explores=True)


OTHER = parse(
    "difffuzz program v1\nslot 0 gfn=0 pages=8 area=1\nvcpu0: read gfn=0\n"
    "vmm: zap_gfn_range gfn=0 n=8\nschedule 1:vcpu0\n"
)
"""One thread after the other: two changes of one SPTE."""


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explorations may take all the time."""
    monkeypatch.setattr(run, "EXPLORING", 1_000_000)


@pytest.fixture
def only_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is explored by chance, and none for long."""
    monkeypatch.setattr(run, "EXPLORED", 0.0)
    monkeypatch.setattr(run, "EXPLORATION_STEPS", (1000,))


def explored(runner: Runner, program: Program) -> bool:
    """Whether the runner searches the program's schedules: then it takes many more steps."""
    once = Runner(runner.left, runner.right, "concurrent")(program)
    assert not once.divergences
    before = len(runner._explored)
    runner(program)
    return len(runner._explored) > before


def test_a_search_finds_what_one_run_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "EXPLORED_LEGACY", 0.0)  # the bug is in the TDP MMU
    once = Runner(*RARE.sides(), "concurrent")(PROGRAM)
    assert not once.divergences
    for seed in range(5):  # the program determines how much is searched, and in which order
        program = PROGRAM._replace(config=PROGRAM.config._replace(gen_bias=seed % 4))
        found = runner()(program)
        if found.divergences:
            break
    assert found.features > once.features
    assert [one.oracle for one in found.divergences] == ["accounting"]
    # The schedule that showed it shows it again.
    assert found.schedule
    again = Runner(*RARE.sides(), "concurrent")(program._replace(schedule=found.schedule))
    assert found.divergences[0].signature in {one.signature for one in again.divergences}


def test_the_base_is_quiet_under_a_search() -> None:
    searching = Runner("legacy", "tdp", "concurrent", explores=True)
    assert explored(searching, PROGRAM)
    assert not searching(PROGRAM).divergences


@pytest.mark.usefixtures("only_new")
def test_threads_that_meet_anew_are_explored() -> None:
    searching = Runner("legacy", "tdp", "concurrent", explores=True)
    there = [
        OTHER._replace(ops=(OTHER.ops[0]._replace(args=(gfn,)), *OTHER.ops[1:]))
        for gfn in range(1, 8)
    ]
    assert explored(searching, there[0])
    searching._met.update(dict.fromkeys(searching._met, 1_000_000))
    assert not any(explored(searching, one) for one in there)
    assert explored(searching, PROGRAM)


@pytest.mark.usefixtures("only_new")
def test_the_same_operations_are_explored_once() -> None:
    searching = Runner("legacy", "tdp", "concurrent", explores=True)
    assert explored(searching, OTHER)
    assert not explored(searching, OTHER)
    assert not explored(searching, OTHER._replace(schedule=((2, 0),)))


@pytest.mark.usefixtures("only_new")
def test_what_has_no_race_or_is_large_is_not_explored(monkeypatch: pytest.MonkeyPatch) -> None:
    searching = Runner("legacy", "tdp", "concurrent", explores=True)
    alone = parse(
        "difffuzz program v1\nslot 0 gfn=0 pages=8 area=1\nvcpu0: read gfn=0\nvmm: sync\n"
        "host0: dontneed area=1 page=0 n=1\nvmm: sync\n"
    )
    assert not explored(searching, alone)
    both = parse(render(alone) + "vcpu0: read gfn=0\nvmm: zap_gfn_range gfn=0 n=8\n")
    assert run.raced_phases(both) == [3]
    assert explored(searching, both)
    monkeypatch.setattr(run, "EXPLORED_STEPS", 20)
    assert not explored(searching, OTHER)


def test_a_few_are_explored_whatever_they_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "EXPLORATION_STEPS", (1000,))
    searching = Runner("legacy", "tdp", "concurrent", explores=True)
    searching._met.update(dict.fromkeys(searching(OTHER).meetings, 1_000_000))
    programs = [
        OTHER._replace(config=OTHER.config._replace(gen_bias=bias, vcpus=vcpus, ad=ad))
        for bias in range(4)
        for vcpus in range(1, 5)
        for ad in (False, True)
    ]
    assert 0 < sum(explored(searching, program) for program in programs) < len(programs) / 2


def test_the_legacy_side_is_searched_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = Counter[int]()

    def explore(*_args: object, sides: list[int], **_options: object) -> Exploration:
        searched.update(sides)
        return Exploration()

    monkeypatch.setattr(run, "explore", explore)
    for left, right, tdp in (("legacy", "tdp", 1), ("tdp", "legacy", 0)):
        searched.clear()
        searching = Runner(left, right, "concurrent", explores=True)
        for gfn in range(200):
            op = PROGRAM.ops[-1]._replace(args=(gfn, *PROGRAM.ops[-1].args[1:]))
            program = PROGRAM._replace(ops=(*PROGRAM.ops[:-1], op))
            searching._explore(program, Verdict())
        assert searched[tdp] + searched[1 - tdp] == 200
        assert 110 < searched[tdp] < 170


@pytest.mark.usefixtures("only_new")
def test_a_run_that_was_given_up_is_not_explored() -> None:
    searching = Runner("legacy", "tdp", "concurrent", 20, explores=True)
    searching._steps_left = 1_000_000
    verdict = searching(OTHER)
    assert verdict.divergences == []
    assert verdict.allowed["abandoned"] == 1
    assert verdict.steps >= 20
    assert not searching._explored


def test_explorations_do_not_take_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "EXPLORING", 2)
    searching = Runner("legacy", "tdp", "concurrent", explores=True)
    assert explored(searching, OTHER)
    searching._met.clear()
    assert not explored(searching, PROGRAM)
