# SPDX-License-Identifier: GPL-2.0-only
"""Programs played inside the library: what they do is what they do with Python as the host."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

import pytest

from difffuzz.engine import fast_lockstep
from difffuzz.engine.fast_lockstep import FastLockstep
from difffuzz.engine.lockstep import Lockstep, Step, run
from difffuzz.errors import UsageError
from difffuzz.oracle import Verdict
from difffuzz.program import Kind, Op, Program, generate, parse
from difffuzz.running.runner import Runner
from difffuzz.sides import NativeFactory, open_side
from difffuzz.sides.base import Outcome
from difffuzz.sides.encoded import Encoded
from difffuzz.sides.played import Played, Player

from .kernel import built, built_newer, programs
from .test_kernel_side import BUGS

STEPS = 10_000_000
Leaves = list[tuple[int, int, int, int]]
ONE_SIDE_PARKS = """difffuzz program v1
config vcpus=2
slot 0 as=0 gfn=0x0 pages=0x400 area=1 page=0x0
host0: host_write area=1 page=0x0
host0: host_write area=1 page=0x1
vcpu0: write gfn=0x0
vcpu1: begin_fault gfn=0x1 access=write
host0: migrate area=1 page=0x1
vcpu1: read gfn=0x1
"""
"""The legacy MMU has prefetched the page: only the TDP MMU has a fault to park."""


def sides() -> tuple[NativeFactory, NativeFactory]:
    """The kernel's two MMUs."""
    left, right = open_side(f"native:{built()}:legacy"), open_side(f"native:{built()}:tdp")
    assert isinstance(left, NativeFactory)
    assert isinstance(right, NativeFactory)
    return left, right


def fast() -> FastLockstep:
    """The filter over them."""
    return FastLockstep(*sides())


def generated(seed: int, count: int) -> Iterator[Program]:
    """Programs that both MMUs can run."""
    rng = random.Random(seed)
    while count:
        one = generate(rng)
        if one.config.paging == "tdp":
            count -= 1
            yield one


def all_of(outcome: Outcome) -> tuple[object, ...]:
    """Everything that an operation did but the words of a dirty log."""
    return tuple(
        getattr(outcome, name) for name in Outcome.__slots__ if name not in ("bitmap", "bitmaps")
    )


def slowly(
    program: Program, left: NativeFactory, right: NativeFactory
) -> tuple[Verdict, list[Leaves]]:
    """The verdict with a trace, and the leaves of each side when the faults have ended."""
    lockstep = Lockstep(program.config, left, right, trace=True)
    for op in program.ops:
        if not lockstep.step(op):
            return lockstep.verdict, []
    leaves: list[Leaves] = []
    for side in lockstep._sides:
        assert side.model is not None
        side.model.finish_faults(len(program.ops) + 1)
        leaves.append(
            sorted(
                (as_id, gfn, leaf.level, leaf.pfn)
                for as_id, gfn, leaf in side.model.tables.all_leaves()
            )
        )
    return lockstep.finish(), leaves


def same_leaves(played: Played) -> Leaves:
    """Its leaves in the same form."""
    return sorted(
        (one.as_id, one.gfn, one.level, (one.spte & ((1 << 52) - 1)) >> 12)
        for one in played.leaves()
    )


def played_as_step_by_step(
    chosen: Iterable[Program], left: NativeFactory, right: NativeFactory
) -> int:
    """Plays programs on both sides, and runs them with the engine; how many were compared."""
    players = [Player(side.library, side.tdp_mmu, i) for i, side in enumerate((left, right))]
    seen = 0
    for program in chosen:
        verdict, leaves = slowly(program, left, right)
        if verdict.divergences or verdict.allowed["parked-on-one-side"]:
            continue
        features: set[int] = set()
        for number, player in enumerate(players):
            played = player.play(Encoded(program), STEPS, trace=True)
            assert not played.reason, (played.reason, program)
            operations = played.operations()
            steps = [step for step in verdict.trace if isinstance(step, Step)]
            for ours, step in zip(operations, steps, strict=False):
                theirs = step.right if number else step.left
                assert theirs is not None
                assert (ours.op_index, ours.kind, ours.thread) == (step.op_index, *step.op[:2])
                assert all_of(ours.outcome) == all_of(theirs), (program, step)
            assert len(operations) >= len(steps)
            if leaves:  # else user space gave up in the middle
                assert len(operations) == len(steps)
                assert same_leaves(played) == leaves[number], program
            features.update(played.features())
        assert features >= verdict.features
        seen += 1
    return seen


def test_a_played_program_does_what_it_does_step_by_step() -> None:
    both = [one for one in programs("seeds", "regressions") if one.config.paging == "tdp"]
    assert played_as_step_by_step([*both, *generated(7, 250)], *sides()) > 250


def test_a_played_prefault_does_what_it_does_step_by_step() -> None:
    """On Linux 7.2: 6.1 refuses it."""
    left, right = (open_side(f"native:{built_newer('7.2')}:{mmu}") for mmu in ("legacy", "tdp"))
    assert isinstance(left, NativeFactory)
    assert isinstance(right, NativeFactory)
    chosen = [
        one
        for one in generated(14, 400)
        if any(op.kind == Kind.PREFAULT for op in one.ops) and not any(map(zaps_a_range, one.ops))
    ]
    assert played_as_step_by_step(chosen[:40], left, right) > 25


def zaps_a_range(op: Op) -> bool:
    """The legacy MMU of 7.2 reads memslots without SRCU then, which is told of."""
    return op.kind == Kind.ZAP_GFN_RANGE


def test_few_programs_are_suspicious() -> None:
    check = fast()
    clean = sum(check.run(program, STEPS) is not None for program in generated(8, 400))
    assert clean >= 380, check.reasons


@pytest.mark.parametrize("subject", BUGS)
def test_what_the_engine_reports_is_suspicious(subject: str) -> None:
    check = fast()
    assert check.run(parse(f"difffuzz program v1\n{BUGS[subject][0]}"), STEPS) is None
    assert sum(check.reasons.values()) == 1


def test_whatever_diverges_is_suspicious() -> None:
    left, right = sides()
    check = fast()
    rng = random.Random(9)
    texts = [parse(f"difffuzz program v1\n{text}") for text, _ in BUGS.values()]
    for _ in range(60):
        one = rng.choice(texts)
        more = next(generated(rng.randrange(1 << 30), 1)).ops[:6]
        program = one._replace(ops=(*one.ops[: rng.randrange(len(one.ops) + 1)], *more, *one.ops))
        if run(program, left, right).divergences:
            assert check.run(program, STEPS) is None, program


def test_a_fault_that_parks_on_one_side_only_ends_at_once_on_both() -> None:
    program = parse(ONE_SIDE_PARKS)
    left, right = sides()
    verdict = fast().run(program, STEPS)
    assert verdict is not None
    assert verdict.allowed["parked-on-one-side"] == 1
    assert run(program, left, right).allowed["parked-on-one-side"] == 1
    assert verdict.features == run(program, left, right).features


def test_playing_leaves_no_trace() -> None:
    left, right = sides()
    check = FastLockstep(left, right)
    for program in generated(11, 20):
        first, before = check.run(program, STEPS), run(program, left, right)
        again, after = check.run(program, STEPS), run(program, left, right)
        assert first is not None
        assert again is not None
        assert first.features == again.features
        assert before.features == after.features
        assert first.steps == again.steps


def test_a_long_program_is_played_to_its_end() -> None:
    check, program = fast(), next(generated(7, 1))
    cut, whole = check.run(program, 40), check.run(program, STEPS)
    assert cut is not None
    assert whole is not None
    assert (cut.steps, cut.features) == (whole.steps, whole.features)


def test_a_program_without_end_is_left_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_lockstep, "STEP_LIMIT", 60)
    check = fast()
    assert check.run(next(generated(7, 1)), 40) is None
    assert dict(check.reasons) == {"fast: out of steps": 1}


def test_a_configuration_that_a_side_cannot_run() -> None:
    program = next(generated(7, 1))
    program = program._replace(config=program.config._replace(paging="nonpaging"))
    with pytest.raises(UsageError, match="needs paging"):
        fast().run(program, STEPS)


def test_the_fuzzers_runner_uses_it() -> None:
    runner = Runner(f"native:{built()}:legacy", f"native:{built()}:tdp", "lockstep")
    assert runner.fast is not None
    program = next(generated(7, 1))
    assert not runner(program).divergences
    assert runner.fast.programs == 1
    text, signature = BUGS["a late read fault"]
    found = runner(parse(f"difffuzz program v1\n{text}")).divergences
    assert signature in [one.signature.replace(f"native:{built()}:", "") for one in found]
    assert runner.fast.reasons
    assert Runner("legacy", "tdp", "lockstep").fast is None


def test_bounds_of_the_records_are_kept() -> None:
    one = next(generated(7, 1))
    ops = tuple(Op(Kind.READ, 0, (gfn,)) for gfn in range(512))
    verdict = fast().run(one._replace(ops=ops), STEPS)
    assert verdict is not None
    assert verdict.operations == 512
