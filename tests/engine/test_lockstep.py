# SPDX-License-Identifier: GPL-2.0-only
"""Lockstep runs: where they end, what they report, that they are deterministic."""

from __future__ import annotations

import gc
from pathlib import Path
from random import Random

import pytest

from difffuzz.engine import lockstep
from difffuzz.errors import UsageError
from difffuzz.oracle import Verdict
from difffuzz.program import Program, generate, parse
from difffuzz.sched.core import STEP_LIMIT
from difffuzz.sides import open_side
from difffuzz.sides.base import Outcome
from difffuzz.sides.kvm_side import KvmSide
from tests.kvm.vm import kvm_of

from .runs import SMALL, STALE, STALE_PROGRAM, Kept, broken_tdp, program_of, steps

SEEDS = sorted((Path(__file__).parents[2] / "corpus" / "seeds").glob("*.difffuzz"))
AGAIN = "vcpu0: read gfn=0x8\n"


def test_a_run_without_divergence_runs_every_operation() -> None:
    program = program_of(f"{SMALL}{STALE_PROGRAM}{AGAIN}")
    verdict = lockstep.run(program, open_side("legacy"), open_side("tdp"), trace=True)
    assert verdict.divergences == []
    assert verdict.operations == 4
    assert [step.op for step in steps(verdict)] == list(program.ops)
    assert [step.op_index for step in steps(verdict)] == [0, 1, 2, 3]
    assert verdict.features


@pytest.mark.parametrize("before", range(4))
def test_it_ends_after_the_operation_that_diverges(before: int, tmp_path: Path) -> None:
    program = program_of(SMALL + AGAIN * before + STALE_PROGRAM + STALE_PROGRAM)
    verdict = lockstep.run(program, open_side("legacy"), broken_tdp(tmp_path))
    (divergence,) = verdict.divergences
    assert divergence.signature == STALE
    assert divergence.op_index == before + 2
    assert verdict.operations == before + 2
    # Without a trace there is the last step all the same.
    (last,) = steps(verdict)
    assert (last.op_index, last.divergences) == (before + 2, (divergence,))


def test_what_shows_at_the_end_has_no_operation(tmp_path: Path) -> None:
    leak = """\
--- a/difffuzz/kvm/kvm_main.py
+++ b/difffuzz/kvm/kvm_main.py
@@ -1,2 +1,1 @@
         kvm_set_pfn_accessed(kvm, pfn)
-        kvm.mm.put_page(pfn)
"""
    program = program_of(f"{SMALL}vcpu0: write gfn=0x3\n{AGAIN}")
    verdict = lockstep.run(program, open_side("legacy"), broken_tdp(tmp_path, leak))
    assert [(found.signature, found.op_index) for found in verdict.divergences] == [
        ("leak:tdp:end:frames", None)
    ]
    assert verdict.operations == 2


@pytest.mark.parametrize(
    "text",
    [
        SMALL + STALE_PROGRAM,
        SMALL + AGAIN * 5 + STALE_PROGRAM,
        # Another gfn, slot, area and configuration: still the same bug.
        "config layout=npt root_level=5\nslot 5 gfn=0x1000 pages=0x400 area=3\n"
        "vcpu0: write gfn=0x1203\nhost1: dontneed area=3 page=0x203 n=0x1\n"
        "vcpu0: read gfn=0x1203\n",
    ],
)
@pytest.mark.parametrize("name", ["one", "another"])
def test_one_bug_has_one_signature(text: str, name: str, tmp_path: Path) -> None:
    side = broken_tdp(tmp_path, name=name)
    verdict = lockstep.run(program_of(text), open_side("legacy"), side)
    assert [found.signature for found in verdict.divergences] == [STALE]


def test_the_sides_are_named_as_they_stand(tmp_path: Path) -> None:
    program = program_of(SMALL + STALE_PROGRAM)
    (found,) = lockstep.run(program, broken_tdp(tmp_path), open_side("spec")).divergences
    assert found.signature == STALE
    assert found.detail.startswith("tdp+broken: ")


def test_a_crash_of_one_side_is_a_finding(tmp_path: Path) -> None:
    crash = """\
--- a/difffuzz/kvm/mmu_notifier.py
+++ b/difffuzz/kvm/mmu_notifier.py
@@ -1,2 +1,2 @@
     if flush_on_ret and ret:
-        kvm_flush_remote_tlbs(kvm)
+        kvm.no_such_attribute()
"""
    program = program_of(SMALL + STALE_PROGRAM)
    side = broken_tdp(tmp_path, crash)
    for sides in ((open_side("legacy"), side), (side, open_side("legacy"))):
        verdict = lockstep.run(program, *sides)
        assert [(found.signature, found.op_index) for found in verdict.divergences] == [
            ("crash:tdp:dontneed:AttributeError@kvm_handle_hva_range", 1)
        ]
        (last,) = steps(verdict)
        assert {last.left is None, last.right is None} == {True, False}


def test_a_splat_before_the_first_operation_is_a_finding(tmp_path: Path) -> None:
    splat = """\
--- a/difffuzz/kvm/memslot_update.py
+++ b/difffuzz/kvm/memslot_update.py
@@ -1,2 +1,1 @@
-    kvm.slots_lock.lock()
     r = __kvm_set_memory_region(kvm, as_id, slot_id, base_gfn, npages, hva, flags)
"""
    program = program_of(f"{SMALL}vcpu0: read gfn=0x3\n")
    verdict = lockstep.run(program, open_side("legacy"), broken_tdp(tmp_path, splat))
    assert [(found.signature, found.op_index) for found in verdict.divergences] == [
        ("lock:tdp:start:slots_lock", None)
    ]
    assert verdict.operations == 0


ENDLESS = """\
--- a/difffuzz/kvm/mmu_notifier.py
+++ b/difffuzz/kvm/mmu_notifier.py
@@ -1,2 +1,3 @@
     if flush_on_ret and ret:
-        kvm_flush_remote_tlbs(kvm)
+        while True:
+            kvm.sched.point()
"""


@pytest.mark.parametrize("max_steps", [30_000, STEP_LIMIT])
def test_an_endless_loop_is_a_finding(max_steps: int, tmp_path: Path) -> None:
    program = program_of(SMALL + STALE_PROGRAM)
    side = broken_tdp(tmp_path, ENDLESS)
    verdict = lockstep.run(program, open_side("legacy"), side, max_steps=max_steps)
    assert [found.signature for found in verdict.divergences] == ["progress:tdp:dontneed:scheduler"]


def test_a_side_that_cannot_run_the_program_is_wrong_use() -> None:
    program = program_of(f"config paging=nonpaging layout=npt\n{SMALL}vcpu0: read gfn=0x3\n")
    with pytest.raises(UsageError, match="cannot run a nonpaging guest"):
        lockstep.run(program, open_side("legacy"), open_side("tdp"))


def written_out(verdict: Verdict) -> list[tuple[object, ...]]:
    """Everything that a run showed."""
    rows: list[tuple[object, ...]] = [
        (verdict.operations, verdict.steps, *sorted(verdict.features)),
        tuple(verdict.divergences),
        tuple(sorted(verdict.allowed.items())),
    ]
    for step in steps(verdict):
        for outcome, leaves in zip((step.left, step.right), step.maps, strict=True):
            rows.append((step.op_index, step.op, *fields(outcome)))
            rows += [(leaf.pfn, leaf.level, leaf.writable, leaf.executable) for leaf in leaves]
    return rows


def fields(outcome: Outcome | None) -> list[object]:
    """What an operation did, pfns included."""
    return [] if outcome is None else [getattr(outcome, name) for name in Outcome.__slots__]


def random_programs() -> list[Program]:
    rng = Random(7)
    return [generate(rng) for _ in range(25)]


@pytest.mark.parametrize(
    "program",
    [
        *(pytest.param(parse(path.read_bytes()), id=path.stem) for path in SEEDS[::9]),
        *(pytest.param(program, id=f"random{n}") for n, program in enumerate(random_programs())),
    ],
)
def test_the_same_program_runs_the_same_way(program: Program) -> None:
    right = open_side("tdp" if program.config.paging == "tdp" else "spec")
    runs = [lockstep.run(program, open_side("legacy"), right, trace=True) for _ in range(2)]
    assert written_out(runs[0]) == written_out(runs[1])


def test_a_trace_changes_nothing() -> None:
    for program in random_programs():
        plain, traced = (
            lockstep.run(program, open_side("legacy"), open_side("tdp"), trace=trace)
            for trace in (False, True)
        )
        assert plain.features == traced.features
        assert plain.steps == traced.steps
        assert plain.divergences == traced.divergences


@pytest.mark.parametrize("path", SEEDS[::6], ids=lambda path: path.stem)
def test_nothing_is_left_after_a_run(path: Path) -> None:
    program = parse(path.read_bytes())
    sides = Kept("legacy"), Kept("tdp" if program.config.paging == "tdp" else "spec")
    lockstep.run(program, *sides)
    for side in (started for kept in sides for started in kept.started):
        assert side.mm.frames.leaked() == []
        if isinstance(side, KvmSide):
            kvm = kvm_of(side)
            assert kvm.mem.pages == {}
            assert (kvm.tdp_mmu_roots, kvm.tdp_mmu_pages, kvm.n_used_mmu_pages) == ([], 0, 0)
            assert (kvm.active_mmu_pages, kvm.mmu_page_hash) == ({}, {})
            assert kvm.possible_nx_huge_pages == {}
            assert not kvm.srcu.read_lock_held()


@pytest.mark.parametrize("seed", SEEDS[::10], ids=lambda path: path.stem)
def test_a_run_leaves_nothing_to_a_garbage_collector(seed: Path) -> None:
    program = parse(seed.read_text(), seed.name)
    if program.config.paging != "tdp":
        return
    legacy, tdp = open_side("legacy"), open_side("tdp")
    lockstep.run(program, legacy, tdp)
    gc.collect()
    gc.disable()
    try:
        assert not lockstep.run(program, legacy, tdp).divergences
        assert gc.collect() == 0
    finally:
        gc.enable()
