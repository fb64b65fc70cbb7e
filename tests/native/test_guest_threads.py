# SPDX-License-Identifier: GPL-2.0-only
"""Threads at once of guests with page tables, on the kernel's own code."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import pytest

from difffuzz.engine import concurrent, guest_concurrent, guest_lockstep
from difffuzz.engine.concurrent import Event
from difffuzz.engine.fast_schedules import FastSchedules
from difffuzz.engine.guest_concurrent import GuestSideRun
from difffuzz.errors import UsageError
from difffuzz.native.build import Wish, build
from difffuzz.native.cache import default_cache
from difffuzz.oracle import Verdict
from difffuzz.program import is_concurrent, normalise, parse
from difffuzz.program.generate_guest import at_once, generate_guest
from difffuzz.program.model import GUESTS
from difffuzz.running.runner import Runner
from difffuzz.shipped import CORPUS, HARNESS
from difffuzz.sides import NativeFactory, open_side
from difffuzz.sides.encoded import Encoded, Threads
from difffuzz.sides.played import Played, Player

from .kernel import built
from .test_guest_tables import MACHINE

STEPS = 600_000
LAST = 8
"""Of the attempts of an access that had to wait, only the last are told."""
WORD = (1 << 64) - 1
NOT_AGAIN = "gpte-not-read-again"
Ended = list[tuple[int, int, str, str, tuple[int, ...], int, int]]


@cache
def sides(name: str = "") -> tuple[NativeFactory, NativeFactory]:
    """The kernel's two MMUs."""
    left, right = (open_side(f"native:{name or built()}:{mmu}") for mmu in ("legacy", "tdp"))
    assert isinstance(left, NativeFactory)
    assert isinstance(right, NativeFactory)
    return left, right


@cache
def with_the_bug() -> str:
    """A build in which an entry is not read again."""
    built()
    patch = Path(HARNESS / "guest_patches" / f"{NOT_AGAIN}.toml")
    name = f"tests-guest-{NOT_AGAIN}"
    build(Wish(coverage=False, name=name, patches=(patch,)), default_cache(), lambda line: None)
    return name


def as_played(played: Played) -> Ended:
    """When each operation was over, and how."""
    return [
        (
            one.step,
            one.thread,
            one.kind.name,
            one.outcome.result,
            one.outcome.rets[-LAST:],
            one.outcome.value & WORD,
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
            how = outcome.result, outcome.rets[-LAST:], outcome.value & WORD, outcome.pfn
            ended.append((event.step, event.thread, name, *how))
    return ended


@pytest.mark.parametrize("guest", GUESTS[1:])
def test_a_walk_is_a_schedule_for_the_engine_step_by_step(guest: str) -> None:
    rng = Random(3)
    same = 0
    for number in range(10):
        program = at_once(rng, generate_guest(rng, guest))
        for at, side in enumerate(sides()):
            player = Player(side.library, side.tdp_mmu, at)
            threads = Threads(seed=number + 1, gap=(5, 20, 60)[number % 3])
            played = player.play(Encoded(program, threads), STEPS)
            ours, reason = as_played(played), played.reason
            scheduled = program._replace(schedule=played.switches())
            verdict = Verdict()
            concurrent.run_side(scheduled, side, at, verdict, trace=True, run_of=GuestSideRun)
            assert bool(verdict.divergences) == bool(reason), (reason, verdict.divergences)
            if not reason:
                assert as_judged(verdict) == ours, scheduled
                same += 1
    assert same > 12


def test_programs_with_threads_at_once_are_programs() -> None:
    rng = Random(5)
    for guest in GUESTS[1:]:
        for _ in range(30):
            program = at_once(rng, generate_guest(rng, guest))
            assert normalise(program) is program
            assert is_concurrent(program)
            assert program.config.vcpus > 1


def test_a_race_shows_what_no_order_of_operations_does() -> None:
    program = parse((CORPUS / "guests" / f"{NOT_AGAIN}.difffuzz").read_text())
    pair = sides(with_the_bug())
    found = guest_concurrent.run(program, *pair).divergences
    assert [one.location for one in found] == ["pfn"]
    assert found[0].oracle == "guest-shadow"
    assert not guest_concurrent.run(program, *sides()).divergences
    for ops in (program.ops, program.ops[::-1]):
        assert not guest_lockstep.run(program._replace(ops=ops), *pair).divergences


def test_the_fuzzers_runner_walks_and_the_engine_judges() -> None:
    program = parse((CORPUS / "guests" / f"{NOT_AGAIN}.difffuzz").read_text())
    bare = program._replace(schedule=(), ops=(*program.ops, *parse(SYNC).ops))
    left, right = sides(with_the_bug())
    runner = Runner(left.name, right.name, "guests")
    assert runner.is_concurrent(bare)
    assert not runner.is_concurrent(bare._replace(ops=program.ops))
    walks = FastSchedules([left]).walks(bare, 64, STEPS, set())
    suspicion = next(walks)
    judged = runner(bare._replace(schedule=suspicion.schedule))
    assert [one.oracle for one in judged.divergences] == ["guest-shadow"]
    plain = FastSchedules(list(sides()))
    assert not list(plain.walks(bare, 64, STEPS, set())), plain.reasons


SYNC = f"{MACHINE}vmm: sync\n"


def test_an_address_is_used_while_its_table_changes() -> None:
    program = parse(
        f"""{MACHINE}vmm: sync
vcpu0: gva_write gva=0.0.0.0
vcpu0: gva_write gva=0.0.0.1
vcpu1: pte G.0 to=0x13 flags=p,w,u
vcpu1: pte G.1 to=none
vmm: sync
vcpu0: cr3 B
vcpu1: pte C.0 to=F flags=p,w,u
host0: migrate area=0 page=0x6
"""
    )
    walks = FastSchedules(list(sides()))
    assert not list(walks.walks(program, 60, STEPS, set())), walks.reasons
    assert not guest_concurrent.run(program, *sides()).divergences


def test_models_and_searches_say_that_they_have_none() -> None:
    program = parse(MACHINE + "vcpu0: gva_read gva=0.0.0.0\n")
    with pytest.raises(UsageError, match="guest=paging64"):
        guest_concurrent.run(program, open_side("legacy"), open_side("tdp"))
