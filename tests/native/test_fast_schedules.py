# SPDX-License-Identifier: GPL-2.0-only
"""Threads played inside the library: their schedules are schedules for the engine that judges."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from difffuzz.engine import concurrent
from difffuzz.engine.concurrent import Event
from difffuzz.engine.fast_schedules import fast_schedules
from difffuzz.oracle import Verdict
from difffuzz.program import Program, generate, parse
from difffuzz.running.policy import POLICY
from difffuzz.running.runner import Runner
from difffuzz.running.schedule import is_judged
from difffuzz.sides import NativeFactory
from difffuzz.sides.encoded import Encoded, Threads
from difffuzz.sides.played import Played, Player

from .kernel import built, programs
from .test_kernel_side import LINK_RACE, kernel

STEPS = 600_000
LAST = 8
"""Of the attempts of an access that had to wait, only the last are told."""
MOST_WALKS = 4000
SPLITS = 250
"""Walks in which reclaim splits a huge page just before others clear or change it, now and then."""
Ended = list[tuple[int, int, str, str, tuple[int, ...], int, int]]


def walks() -> list[tuple[Program, int, int]]:
    """Programs, each with seed and gap of a walk."""
    rng = random.Random(11)
    some = programs("concurrent") + [generate(rng, concurrent=True) for _ in range(30)]
    some = [program for program in some if program.config.paging == "tdp"]
    gaps = 5, 20, 60, 0
    return [(program, 7 + number, gaps[number % 4]) for number, program in enumerate(some)]


def player(side: NativeFactory) -> Player:
    """Plays on that side."""
    return Player(side.library, side.tdp_mmu, 0)


def as_played(played: Played) -> Ended:
    """When each operation was over, and how."""
    return [
        (
            one.step,
            one.thread,
            one.kind.name,
            one.outcome.result,
            one.outcome.rets[-LAST:],
            one.outcome.value,
            one.outcome.pfn,
        )
        for one in played.operations()
    ]


def as_judged(verdict: Verdict) -> Ended:
    """The same of the engine's trace."""
    ended: Ended = []
    for event in verdict.trace:
        if isinstance(event, Event) and event.op is not None and event.outcome is not None:
            name, outcome = event.op.kind.name, event.outcome
            how = outcome.result, outcome.rets[-LAST:], outcome.value, outcome.pfn
            ended.append((event.step, event.thread, name, *how))
    return ended


@pytest.mark.parametrize("delays", [False, True], ids=["sc", "tso"])
@pytest.mark.parametrize("mmu", ["legacy", "tdp"])
def test_a_walk_is_a_schedule_for_the_engine_step_by_step(mmu: str, delays: bool) -> None:
    side = kernel(mmu)
    seen = 0
    for program, seed, gap in walks():
        threads = Threads(seed=seed, gap=gap, delays=delays)
        played = player(side).play(Encoded(program, threads), STEPS)
        if played.reason:
            continue
        ours, schedule = as_played(played), played.switches()
        verdict = Verdict()
        concurrent.run_side(program._replace(schedule=schedule), side, 0, verdict, trace=True)
        assert not verdict.divergences, (program, schedule)
        assert as_judged(verdict) == ours, (program, schedule)
        seen += 1
    assert seen > 30


@pytest.mark.parametrize("operation", ["munmap", "dontneed", "mprotect", "fork"])
def test_a_huge_page_that_reclaim_splits_is_dealt_with_as_under_python(operation: str) -> None:
    side = kernel("legacy")
    program = parse(f"""difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x300 area=0 page=0x0
vcpu0: read gfn=0x0
vmm: sync
host0: {operation} area=0 page=0x0 n=0x200{" prot=r" if operation == "mprotect" else ""}
host1: swap_out area=0 page=0x0 n=0x200
vcpu0: write gfn=0x0
""")
    for seed in range(1, SPLITS + 1):
        threads = Threads(seed=seed, gap=(5, 20, 60)[seed % 3])
        played = player(side).play(Encoded(program, threads), STEPS)
        assert not played.reason, (played.reason, played.switches())
        ours, schedule = as_played(played), played.switches()
        verdict = Verdict()
        concurrent.run_side(program._replace(schedule=schedule), side, 0, verdict, trace=True)
        assert not verdict.divergences, schedule
        assert as_judged(verdict) == ours, schedule


@pytest.mark.parametrize("delays", [False, True], ids=["sc", "tso"])
def test_a_walk_replays_itself(delays: bool) -> None:
    one = player(kernel("tdp"))
    for program, seed, gap in walks():
        threads = Threads(seed=seed, gap=gap, delays=delays)
        walk = one.play(Encoded(program, threads), STEPS)
        first, steps, schedule = as_played(walk), walk.steps, walk.switches()
        again = one.play(Encoded(program, Threads(schedule)), STEPS)
        if walk.reason:
            continue
        assert (as_played(again), again.steps, again.switches()) == (first, steps, schedule)


def test_walks_differ_and_are_determined_by_the_program() -> None:
    program = programs("concurrent")[0]
    check = fast_schedules(kernel("legacy"), kernel("tdp"))
    assert check is not None
    runs: list[set[int]] = [set(), set()]
    for features in runs:
        assert not list(check.walks(program, 8, STEPS, features))
    assert runs[0] == runs[1]
    assert check.runs == 2 * 2 * 8
    one = player(kernel("tdp"))
    schedules = [one.play(Encoded(program, Threads(seed=n)), STEPS).switches() for n in (1, 2, 3)]
    assert len(set(schedules)) == 3


def test_a_race_of_the_kernel_is_found_and_judged() -> None:
    program = parse(LINK_RACE)
    legacy, tdp = kernel("legacy"), kernel("tdp")
    check = fast_schedules(legacy, tdp)
    assert check is not None
    suspicion = next(check.walks(program, MOST_WALKS, STEPS, set()), None)
    assert suspicion is not None
    verdict = concurrent.run(program._replace(schedule=suspicion.schedule), legacy, tdp)
    assert [one.oracle for one in verdict.divergences] == ["crash"]


def test_partial_order_sampling_shows_it_too_and_tells_its_schedule() -> None:
    program, side = parse(LINK_RACE), kernel("tdp")
    one = player(side)
    for seed in range(1, MOST_WALKS):
        played = one.play(Encoded(program, Threads(seed=seed, gap=0)), STEPS)
        if played.reason:
            break
    assert played.reason
    schedule = played.switches()
    verdict = Verdict()
    concurrent.run_side(program._replace(schedule=schedule), side, 0, verdict)
    assert [one.oracle for one in verdict.divergences] == ["crash"]


def test_the_fuzzers_runner_walks() -> None:
    runner = Runner(f"native:{built()}:legacy", f"native:{built()}:tdp")
    assert runner.schedules is not None
    assert not runner(programs("concurrent")[0]).divergences
    assert runner.schedules.runs == 2 * POLICY.native_walks
    assert Runner("legacy", "tdp").schedules is None


def test_a_programs_own_schedule_comes_first() -> None:
    check = fast_schedules(kernel("legacy"), kernel("tdp"))
    assert check is not None
    program = parse(LINK_RACE)
    found = next(check.walks(program, MOST_WALKS, STEPS, set()))
    shown = list(check.walks(program._replace(schedule=found.schedule), 1, STEPS, set()))
    assert shown == [found]
    assert not list(check.walks(program, 1, STEPS, set()))


def test_what_takes_long_has_fewer_walks() -> None:
    program = programs("concurrent")[0]
    few = fast_schedules(kernel("legacy"), kernel("tdp"))
    assert few is not None
    assert not list(few.walks(program, 8, STEPS, set(), 1))
    assert few.runs == 2
    assert few.steps > 2


def test_what_is_left_early_tells_no_steps_of_another_play() -> None:
    one, program = player(kernel("tdp")), programs("concurrent")[0]
    threads = Encoded(program, Threads(seed=1))
    assert one.play(threads, STEPS).steps > 0
    left_early = one.play(threads, 20)
    assert left_early.reason
    assert left_early.steps == 0


def test_a_limit_of_the_player_ends_the_walks_and_is_no_suspicion() -> None:
    program = programs("concurrent")[0]
    check = fast_schedules(kernel("legacy"), kernel("tdp"))
    assert check is not None
    assert not list(check.walks(program, 8, 40_000_000, set()))
    assert check.runs == 2 * 8
    assert not list(check.walks(program, 8, 200, set()))
    assert not check.reasons


def test_the_engine_runs_what_is_new_and_a_share_of_the_rest() -> None:
    policy = replace(POLICY, judged_of=10**9)
    sides = f"native:{built()}:legacy", f"native:{built()}:tdp"
    runner = Runner(*sides, policy=policy)
    program = programs("concurrent")[0]
    assert not is_judged(program, policy)
    first = runner(program)
    assert runner.way != "walks"
    again = runner(program)
    assert runner.way == "walks"
    assert again.features <= first.features
    assert again.operations == first.operations
    assert 0 < again.steps < 4 * first.steps
    every = Runner(*sides, policy=replace(POLICY, judged_of=1))
    every(program)
    every(program)
    assert every.way != "walks"
