# SPDX-License-Identifier: GPL-2.0-only
"""A fuzzer searches the schedules of some small programs."""

from __future__ import annotations

import pytest

from difffuzz.fuzz import run
from difffuzz.fuzz.run import Runner
from difffuzz.oracle import Verdict
from difffuzz.program import parse, render
from difffuzz.variants.catalogue import find

RARE = find("21a36ac6b6c7")
"""A bug that takes two preemptions at the right places."""
PROGRAM = parse(RARE.program)._replace(schedule=())


def runner(explores: bool) -> Runner:
    return Runner(*RARE.sides(), "concurrent", explores=explores)


def test_a_search_finds_what_one_run_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "EXPLORED", 1.0)
    once = runner(False)(PROGRAM)
    assert not once.divergences
    found = runner(True)(PROGRAM)
    assert found.features > once.features
    assert [one.oracle for one in found.divergences] == ["accounting"]
    # The schedule that showed it shows it again.
    assert found.schedule
    again = runner(False)(PROGRAM._replace(schedule=found.schedule))
    assert found.divergences[0].signature in {one.signature for one in again.divergences}


def test_the_base_is_quiet_under_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "EXPLORED", 1.0)
    assert not Runner("legacy", "tdp", "concurrent", explores=True)(PROGRAM).divergences


def test_one_phase_with_a_race_is_explored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "EXPLORED", 1.0)
    alone = parse(
        "difffuzz program v1\nslot 0 gfn=0 pages=8 area=1\nvcpu0: read gfn=0\nvmm: sync\n"
        "host0: dontneed area=1 page=0 n=1\nvmm: sync\n"
    )
    assert not run.is_explored(alone, Verdict())
    both = parse(render(alone) + "vcpu0: read gfn=0\nvmm: zap_gfn_range gfn=0 n=8\n")
    assert run.raced_phases(both) == [3]
    assert run.is_explored(both, Verdict())


def test_only_some_small_programs_without_a_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = Verdict()
    programs = [
        PROGRAM._replace(config=PROGRAM.config._replace(gen_bias=bias, vcpus=vcpus, ad=ad))
        for bias in range(4)
        for vcpus in range(1, 5)
        for ad in (False, True)
    ]
    assert sum(run.is_explored(program, verdict) for program in programs) < len(programs) / 2
    monkeypatch.setattr(run, "EXPLORED", 1.0)
    assert all(run.is_explored(program, verdict) for program in programs)
    assert not run.is_explored(PROGRAM._replace(schedule=((1, 0),)), verdict)
    verdict.steps = run.EXPLORED_STEPS + 1
    assert not run.is_explored(PROGRAM, verdict)
