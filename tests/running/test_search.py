# SPDX-License-Identifier: GPL-2.0-only
"""A fuzzer searches the schedules of some small programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from difffuzz.engine.explore import Exploration
from difffuzz.oracle import Verdict
from difffuzz.program import Program, parse, render
from difffuzz.running import search
from difffuzz.running.policy import POLICY, Policy
from difffuzz.running.runner import Runner
from difffuzz.running.search import ScheduleSearch, raced_phases
from difffuzz.variants.catalogue import find

RARE = find("21a36ac6b6c7")
"""A bug that takes two preemptions at the right places."""
PROGRAM = parse(RARE.program)._replace(schedule=())


NO_HURRY = replace(POLICY, search_to_runs=1_000_000)
"""Searches may take all the time."""
ONLY_NEW = replace(NO_HURRY, searched=0.0, search_steps=(1000,))
"""No program is searched by chance, and none for long."""


def searching_runner(policy: Policy) -> tuple[Runner, ScheduleSearch]:
    """A runner of the base that searches, and its memory."""
    runner = Runner("legacy", "tdp", "concurrent", explores=True, policy=policy)
    assert runner.search is not None
    return runner, runner.search


OTHER = parse(
    "difffuzz program v1\nslot 0 gfn=0 pages=8 area=1\nvcpu0: read gfn=0\n"
    "vmm: zap_gfn_range gfn=0 n=8\nschedule 1:vcpu0\n"
)
"""One thread after the other: two changes of one SPTE."""


def explored(runner: Runner, program: Program) -> bool:
    """Whether the runner searches the program's schedules: then it takes many more steps."""
    once = Runner(runner.left, runner.right, "concurrent")(program)
    assert not once.divergences
    assert runner.search is not None
    before = runner.search.programs
    runner(program)
    return runner.search.programs > before


def test_a_search_finds_what_one_run_does_not() -> None:
    policy = replace(NO_HURRY, searched_legacy=0.0)  # the bug is in the TDP MMU
    once = Runner(*RARE.sides(), "concurrent")(PROGRAM)
    assert not once.divergences
    for seed in range(5):  # the program determines how much is searched, and in which order
        program = PROGRAM._replace(config=PROGRAM.config._replace(gen_bias=seed % 4))
        found = Runner(*RARE.sides(), "concurrent", explores=True, policy=policy)(program)
        if found.divergences:
            break
    assert found.features > once.features
    assert [one.oracle for one in found.divergences] == ["accounting"]
    # The schedule that showed it shows it again.
    assert found.schedule
    again = Runner(*RARE.sides(), "concurrent")(program._replace(schedule=found.schedule))
    assert found.divergences[0].signature in {one.signature for one in again.divergences}


def test_the_base_is_quiet_under_a_search() -> None:
    searching, _ = searching_runner(NO_HURRY)
    assert explored(searching, PROGRAM)
    assert not searching(PROGRAM).divergences


def test_threads_that_meet_anew_are_explored() -> None:
    searching, memory = searching_runner(ONLY_NEW)
    there = [
        OTHER._replace(ops=(OTHER.ops[0]._replace(args=(gfn,)), *OTHER.ops[1:]))
        for gfn in range(1, 8)
    ]
    assert explored(searching, there[0])
    memory._met.update(dict.fromkeys(memory._met, 1_000_000))
    assert not any(explored(searching, one) for one in there)
    assert explored(searching, PROGRAM)


def test_the_same_operations_are_explored_once() -> None:
    searching, _ = searching_runner(ONLY_NEW)
    assert explored(searching, OTHER)
    assert not explored(searching, OTHER)
    assert not explored(searching, OTHER._replace(schedule=((2, 0),)))


def test_what_has_no_race_or_is_large_is_not_explored() -> None:
    searching, _ = searching_runner(ONLY_NEW)
    alone = parse(
        "difffuzz program v1\nslot 0 gfn=0 pages=8 area=1\nvcpu0: read gfn=0\nvmm: sync\n"
        "host0: dontneed area=1 page=0 n=1\nvmm: sync\n"
    )
    assert not explored(searching, alone)
    zaps = [
        f"{render(alone)}vcpu0: read gfn=0\nvmm: zap_gfn_range gfn=0 n={n}\n" for n in range(1, 9)
    ]
    both = [parse(text) for text in zaps]
    assert all(raced_phases(one) == [3] for one in both)
    assert sum(explored(searching, one) for one in both) >= 3
    small, _ = searching_runner(replace(ONLY_NEW, small_steps=20))
    assert not explored(small, OTHER)
    anew, _ = searching_runner(ONLY_NEW)
    assert explored(anew, OTHER)


def test_a_few_are_explored_whatever_they_show() -> None:
    searching, memory = searching_runner(replace(NO_HURRY, search_steps=(1000,)))
    memory._met.update(dict.fromkeys(searching(OTHER).conflicts, 1_000_000))
    programs = [
        OTHER._replace(config=OTHER.config._replace(gen_bias=bias, vcpus=vcpus, ad=ad))
        for bias in range(4)
        for vcpus in range(1, 5)
        for ad in (False, True)
    ]
    assert 0 < sum(explored(searching, program) for program in programs) < len(programs) / 2


def test_the_legacy_side_is_searched_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = Counter[int]()

    def look(*_args: object, sides: list[int], **_options: object) -> Exploration:
        searched.update(sides)
        return Exploration()

    monkeypatch.setattr(search, "explore", look)
    monkeypatch.setattr(search, "sample", look)
    for left, right, tdp in (("legacy", "tdp", 1), ("tdp", "legacy", 0)):
        searched.clear()
        searching = Runner(left, right, "concurrent", explores=True).search
        assert searching is not None
        for gfn in range(200):
            op = PROGRAM.ops[-1]._replace(args=(gfn, *PROGRAM.ops[-1].args[1:]))
            program = PROGRAM._replace(ops=(*PROGRAM.ops[:-1], op))
            searching.run(program, Verdict())
        assert searched[tdp] + searched[1 - tdp] == 200
        assert 110 < searched[tdp] < 170


def test_a_run_that_was_given_up_is_not_explored() -> None:
    searching = Runner("legacy", "tdp", "concurrent", 20, explores=True, policy=ONLY_NEW)
    assert searching.search is not None
    searching.search._steps_left = 1_000_000
    verdict = searching(OTHER)
    assert verdict.divergences == []
    assert verdict.allowed["abandoned"] == 1
    assert verdict.steps >= 20
    assert not searching.search.programs


def test_searches_do_not_take_all_the_time() -> None:
    searching, memory = searching_runner(replace(POLICY, search_to_runs=2))
    assert explored(searching, OTHER)
    memory._met.clear()
    assert not explored(searching, PROGRAM)
