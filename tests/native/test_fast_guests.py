# SPDX-License-Identifier: GPL-2.0-only
"""Guests with page tables, played inside the library: what they do is what they do under Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import pytest

from difffuzz.engine import fast_lockstep
from difffuzz.engine.fast_lockstep import FastLockstep
from difffuzz.engine.guest_lockstep import run
from difffuzz.engine.lockstep import Step
from difffuzz.native.build import Wish, build
from difffuzz.native.cache import default_cache
from difffuzz.program import Program, is_concurrent, parse
from difffuzz.program.generate_guest import generate_guest
from difffuzz.program.model import GUESTS
from difffuzz.running.runner import Runner
from difffuzz.shipped import CORPUS, HARNESS
from difffuzz.sides import NativeFactory, open_side
from difffuzz.sides.base import Outcome
from difffuzz.sides.encoded import Encoded
from difffuzz.sides.played import Player

from .kernel import built, built_newer
from .test_guest_tables import LATE, MACHINE, STALE_MMIO

STEPS = 10_000_000
WORD = (1 << 64) - 1
RULES = {
    "stale-translation": """\
vcpu0: gva_write gva=0.0.0.0
vcpu0: gva_write gva=0.0.0.1
vcpu1: pte G.0 to=0x13 flags=p,w,u
vcpu1: pte G.1 to=0x13 flags=p,w,u
vcpu0: gva_write gva=0.0.0.0
""",
    "foreign-tables": "vcpu0: gva_read gva=0.0.0.0\nvmm: dma G.0 to=0x13 flags=p,w,u\n",
    "fault-keeps-stale": """\
vcpu0: pte G.0 to=0x10 flags=p,u
vcpu0: gva_read gva=0.0.0.0
vcpu0: pte G.0 to=none
vcpu0: gva_write gva=0.0.0.0
vcpu0: gva_read gva=0.0.0.0
""",
    "efer-nx": """\
vcpu0: pte G.0 to=0x11 flags=p,w,u,nx
vcpu0: gva_read gva=0.0.0.0
vcpu0: toggle nx
vcpu0: gva_read gva=0.0.0.0
""",
}


def sides(name: str) -> tuple[NativeFactory, NativeFactory]:
    """The kernel's two MMUs."""
    left, right = open_side(f"native:{name}:legacy"), open_side(f"native:{name}:tdp")
    assert isinstance(left, NativeFactory)
    assert isinstance(right, NativeFactory)
    return left, right


def generated(seed: int, count: int, guest: str) -> Iterator[Program]:
    """Programs of guests."""
    rng = Random(seed)
    for _ in range(count):
        yield generate_guest(rng, guest)


def all_of(outcome: Outcome) -> tuple[object, ...]:
    """What an operation did, words of tables as numbers without a sign."""
    return outcome.result, outcome.value & WORD, outcome.pfn, outcome.rets


def played_as_step_by_step(chosen: Iterable[Program], name: str) -> int:
    """Plays programs on both sides, and runs them with the engine; how many of them are clean.

    Those that are not diverge, and those that do not are clean."""
    pair = sides(name)
    fast = FastLockstep(*pair)
    players = [Player(side.library, side.tdp_mmu, i) for i, side in enumerate(pair)]
    clean = 0
    for program in chosen:
        verdict, found = run(program, *pair, trace=True), fast.run(program, STEPS)
        assert (found is None) == bool(verdict.divergences), (verdict.divergences, fast.reasons)
        if found is None:
            continue
        clean += 1
        assert found.features == verdict.features
        assert +found.allowed == +verdict.allowed
        steps = [step for step in verdict.trace if isinstance(step, Step)]
        for number, player in enumerate(players):
            operations = player.play(Encoded(program), STEPS).operations()
            assert len(operations) == len(steps)
            for ours, step in zip(operations, steps, strict=True):
                theirs = step.right if number else step.left
                assert theirs is not None
                assert (ours.op_index, ours.kind, ours.thread) == (step.op_index, *step.op[:2])
                assert all_of(ours.outcome) == all_of(theirs), (program, step)
    return clean


@pytest.mark.parametrize("guest", GUESTS[1:])
def test_a_played_guest_does_what_it_does_step_by_step(guest: str) -> None:
    assert played_as_step_by_step(generated(3, 30, guest), built()) > 18


@pytest.mark.parametrize("guest", GUESTS[1:])
def test_one_of_a_newer_kernel_does(guest: str) -> None:
    assert played_as_step_by_step(generated(4, 8, guest), built_newer("7.2")) > 3


def test_what_is_small_and_quiet_is_clean() -> None:
    shrunk = [parse(path.read_text()) for path in sorted((CORPUS / "guests").glob("*.difffuzz"))]
    shrunk = [one for one in shrunk if not is_concurrent(one)]
    assert played_as_step_by_step(shrunk, built()) == len(shrunk) > 10


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_counted(rule: str) -> None:
    program = parse(MACHINE + RULES[rule])
    assert played_as_step_by_step([program], built()) == 1
    found = FastLockstep(*sides(built())).run(program, STEPS)
    assert found is not None
    assert found.allowed[rule] == 1


def test_pages_of_words_have_the_same_numbers() -> None:
    """The host reads tables of the guest's, before and after one was written."""
    reads = "".join(f"host0: host_read area=0 page={page:#x}\n" for page in range(15))
    text = f"{reads}vcpu0: pte G.0 to=0x13 flags=p,w,u,nx\nvcpu0: pte A.1 to=none\n{reads}"
    assert played_as_step_by_step([parse(MACHINE + text)], built()) == 1


def test_what_the_engine_reports_is_suspicious() -> None:
    fast = FastLockstep(*sides(built()))
    assert fast.run(parse(MACHINE + LATE + STALE_MMIO), STEPS) is None
    assert dict(fast.reasons) == {
        "suspect: a table that is shadowed and in sync is mapped writable": 1
    }


@pytest.mark.parametrize("change", ["prefetch-not-accessed", "wp-smep"])
def test_a_bug_that_is_put_back_is_suspicious(change: str) -> None:
    """scripts/native-filter --guest does this with all of them."""
    built()
    patch = Path(HARNESS / "guest_patches" / f"{change}.toml")
    name = f"tests-guest-{change}"
    build(Wish(coverage=False, name=name, patches=(patch,)), default_cache(), lambda line: None)
    program = parse((CORPUS / "guests" / f"{change}.difffuzz").read_text())
    fast = FastLockstep(*sides(name))
    assert fast.run(program, STEPS) is None
    assert [reason.split(":")[0] for reason in fast.reasons] == ["suspect"]
    assert played_as_step_by_step([program], name) == 0


def test_the_fuzzers_runner_plays_guests() -> None:
    runner = Runner(f"native:{built()}:legacy", f"native:{built()}:tdp", "guests")
    assert runner.fast is not None
    assert not runner(parse(MACHINE + "vcpu0: gva_write gva=0.0.0.0\n")).divergences
    assert runner.fast.programs == 1
    assert not runner.fast.reasons
    found = runner(parse(MACHINE + LATE + STALE_MMIO)).divergences
    assert [one.oracle for one in found] == ["guest-shadow"]


def test_a_guest_without_end_is_left_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_lockstep, "STEP_LIMIT", 60)
    fast = FastLockstep(*sides(built()))
    assert fast.run(next(generated(7, 1, "paging64")), 40) is None
    assert dict(fast.reasons) == {"fast: out of steps": 1}
