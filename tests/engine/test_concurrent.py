# SPDX-License-Identifier: GPL-2.0-only
"""Concurrent runs: phases, determinism, what a schedule does, bugs that need a race."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from difffuzz.engine import concurrent
from difffuzz.engine.concurrent import Event, phases, schedule_of
from difffuzz.errors import UsageError
from difffuzz.oracle import Verdict
from difffuzz.program import Program, generate, parse, render
from difffuzz.program.limits import MAX_SCHEDULE
from difffuzz.program.model import RUN_TO_BLOCK
from difffuzz.running.runner import Runner
from difffuzz.sched.strategy import Check, RandomWalk, Record, Strategy
from difffuzz.sides import open_side
from difffuzz.variants.catalogue import find

LEGACY, TDP = open_side("legacy"), open_side("tdp")
MOVE_LOSES_THE_LOG = """\
--- a/difffuzz/kvm/memslot_update.py
+++ b/difffuzz/kvm/memslot_update.py
@@ -139,2 +139,2 @@
         elif old is not None and old.dirty_bitmap is not None:
-            new.dirty_bitmap = old.dirty_bitmap
+            new.dirty_bitmap = old.dirty_bitmap if old.base_gfn == new.base_gfn else {}
"""
MEMORY = "difffuzz program v1\nconfig vcpus=2\nslot 0 gfn=0x0 pages=0x400 area=1\n"


def walk(seed: int, gap: float) -> Callable[[Program], Strategy]:
    """Makes the random walk of that seed."""
    return lambda _: RandomWalk(Random(seed), gap)


def trace(program: Program, seed: int) -> list[str]:
    """Everything that a run under a random walk did, as text."""
    verdict = concurrent.run(
        program, LEGACY, TDP, strategy=lambda _: RandomWalk(Random(seed), 15.0), trace=True
    )
    lines = [repr(one) for one in verdict.divergences]
    for event in verdict.trace:
        assert isinstance(event, Event)
        outcome = event.outcome
        shown = None if outcome is None else (outcome.result, outcome.value, outcome.rets)
        lines.append(repr((*event[:4], shown, event.place.what)))
    return lines


def test_sync_cuts_a_program_into_phases() -> None:
    program = parse(
        f"{MEMORY}vcpu0: read gfn=0x1\nvmm: sync\nvmm: sync\nvcpu1: read gfn=0x2\nvmm: sync\n"
    )
    assert [[index for index, _ in phase] for phase in phases(program.ops)] == [[0], [3]]


def test_what_stands_before_a_sync_is_over_before_what_follows() -> None:
    text = "vcpu1: write gfn=0x1\nvmm: sync\nvcpu0: read gfn=0x1\n"
    for seed in range(10):
        verdict = concurrent.run(
            parse(MEMORY + text),
            LEGACY,
            TDP,
            strategy=walk(seed, 3.0),
            trace=True,
        )
        read = [e for e in verdict.trace if isinstance(e, Event) and e.outcome and e.thread == 0]
        assert [event.outcome.value for event in read if event.outcome] == [1, 1]


def test_runs_are_functions_of_program_and_strategy() -> None:
    for seed in range(60):
        program = generate(Random(seed), concurrent=True)
        assert trace(program, seed) == trace(program, seed)


def test_a_wrapper_sees_the_same_choices_twice() -> None:
    program = generate(Random(7), concurrent=True)
    made: list[Check] = []

    def checked(_: Program) -> Strategy:
        expected = made[0].choices if made else None
        made.append(Check(RandomWalk(Random(3), 5.0), expected))
        return made[-1]

    for _ in range(2):
        concurrent.run_side(program, TDP, 1, Verdict(), checked)
    assert len(made[0].choices) > 20
    assert made[0].choices == made[1].choices


def test_the_recorded_schedule_shows_the_same_divergence() -> None:
    bug = find("d02c357e5bfa")
    side = open_side(f"tdp+{bug.patch}")
    program = parse(
        f"{MEMORY}vcpu0: write gfn=0x1\nvcpu1: read gfn=0x2\nhost0: dontneed area=1 page=0 n=8\n"
    )
    found = 0
    for seed in range(60):
        verdict = Verdict()
        concurrent.run_side(
            program,
            side,
            1,
            verdict,
            walk(seed, 10.0),
        )
        if verdict.divergences:
            found += 1
            assert verdict.schedule is not None
            again = Verdict()
            concurrent.run_side(program._replace(schedule=verdict.schedule), side, 1, again)
            assert again.divergences == verdict.divergences
    assert found > 3


@pytest.mark.parametrize(
    "name", ["088acd235266", "817fa998362d", "b3e6212dea2e", "own-range-zap-ignores-other-root"]
)
def test_what_shows_without_a_switch_is_replayed_without_one(name: str) -> None:
    """Without a schedule the program itself would determine one."""
    bug = find(name)
    runner = Runner(*bug.sides(), "concurrent")
    program = parse(bug.program)
    first = runner(program._replace(schedule=((999_999, 4),)))
    assert first.schedule
    again = runner(program._replace(schedule=first.schedule))
    assert [one.signature for one in again.divergences] == [
        one.signature for one in first.divergences
    ]


def test_a_schedule_is_one_that_a_program_may_hold() -> None:
    record = Record(RandomWalk(Random(1), 1.0))
    assert schedule_of(record) == RUN_TO_BLOCK
    record.switches += [(step, step % 4) for step in range(1, 2 * MAX_SCHEDULE)]
    program = parse(MEMORY + "vcpu0: write gfn=0x1\n")._replace(schedule=schedule_of(record))
    assert parse(render(program)) == program


def test_what_was_seen_before_a_run_is_given_up_counts() -> None:
    bug = find("d02c357e5bfa")
    text = bug.program + "".join(f"host1: migrate area=1 page={n:#x}\n" for n in range(8))
    program, side = parse(text), open_side(bug.sides()[1])
    whole, cut = Verdict(), Verdict()
    concurrent.run_side(program, side, 1, whole)
    concurrent.run_side(program, side, 1, cut, max_steps=whole.steps - 5)
    assert cut.divergences[0].signature == whole.divergences[0].signature
    assert cut.steps < whole.steps
    plain, nothing = open_side(bug.plain_sides()[1]), Verdict()
    with pytest.raises(concurrent.Abandoned):
        concurrent.run_side(program, plain, 1, nothing, max_steps=whole.steps - 5)
    assert nothing.divergences == []
    assert nothing.steps >= whole.steps - 5


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("memslot_move slot=0 gfn=0x800", ["dirty-log:tdp:meeting:lost"]),
        ("memslot_flags slot=0 flags=dirty", []),
        ("memslot_delete slot=0", []),
    ],
)
def test_a_write_is_owed_over_a_change_of_its_slot(
    change: str, expected: list[str], tmp_path: Path
) -> None:
    patch = tmp_path / "lost.patch"
    patch.write_text(MOVE_LOSES_THE_LOG)
    memory = MEMORY.replace("area=1", "area=1 flags=dirty")
    program = parse(f"{memory}vcpu0: write gfn=0x3\nvmm: sync\nvmm: {change}\n")
    for name, shown in ((f"tdp+{patch}", expected), ("tdp", [])):
        verdict = concurrent.run(program, LEGACY, open_side(name))
        assert [one.signature for one in verdict.divergences] == shown


def test_random_programs_meet_nothing_on_the_base() -> None:
    for seed in range(150):
        program = generate(Random(10_000 + seed), concurrent=True)
        verdict = concurrent.run(
            program,
            LEGACY,
            TDP,
            strategy=walk(seed, 20.0),
            max_steps=60_000,
        )
        assert verdict.divergences == [], seed


def test_a_write_in_the_guest_waits_for_nobody_but_a_flush_waits_for_it() -> None:
    # host0 goes on while vcpu0 is in the guest: the flush waits for the exit.
    text = (
        "vcpu0: write gfn=0x1\nvmm: sync\nvcpu0: write gfn=0x1\nhost0: dontneed area=1 page=1 n=1\n"
    )
    program = parse(MEMORY + text)
    waited = False
    for step in range(30, 60):
        verdict = concurrent.run(program._replace(schedule=((step, 4),)), LEGACY, TDP, trace=True)
        assert verdict.divergences == []
        waited |= any(
            isinstance(event, Event) and event.place.what == "vcpu0 to exit"
            for event in verdict.trace
        )
    assert waited


def test_spec_has_no_threads() -> None:
    with pytest.raises(UsageError, match="no threads"):
        concurrent.run(parse(MEMORY), LEGACY, open_side("spec"))


def test_explain_shows_who_went_on_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from difffuzz.cli import main

    file = tmp_path / "race.difffuzz"
    file.write_text(
        f"{MEMORY}vcpu0: write gfn=0x1\nhost0: dontneed area=1 page=1 n=1\nschedule 12:host0\n"
    )
    assert main(["explain", str(file)]) == 0
    out = capsys.readouterr().out
    assert "host0   goes on" in out
    assert "write gfn=0x1: ok" in out
