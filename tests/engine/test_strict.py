# SPDX-License-Identifier: GPL-2.0-only
"""The strict comparison: what counts as a difference, what does not, and where it looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.engine import strict
from difffuzz.engine.conform import conform, conform_scheduled
from difffuzz.kvm import kvm_main
from difffuzz.sched import Task
from difffuzz.sched.choice import Moment
from difffuzz.sides import KvmFactory, open_side

from .runs import SMALL, program_of

FAULT = program_of(SMALL + "vcpu0: write gfn=0x3\n")
RACE = program_of(
    "config vcpus=2\n" + SMALL + "vcpu0: write gfn=0x3\nhost0: dontneed area=1 page=0x3 n=0x1\n"
)
FLUSH = program_of(
    "config range_flush=on\n"
    + SMALL.replace("area=1", "area=0 flags=dirty")
    + "vcpu0: write gfn=0x3\nvmm: memslot_flags slot=0 flags=none\nvcpu0: write gfn=0x3\n"
)
MAP = """\
--- a/difffuzz/kvm/mmu.py
+++ b/difffuzz/kvm/mmu.py
@@ -1,4 +1,4 @@
     kvm.mmu_lock.read_lock()
     if not is_page_fault_stale(vcpu, fault):
-        r = kvm_tdp_mmu_map(vcpu, fault)
+        {}
     kvm.mmu_lock.read_unlock()
"""


def side(directory: Path, line: str) -> KvmFactory:
    """The side tdp with that in place of the call of kvm_tdp_mmu_map()."""
    path = directory / "other.patch"
    path.write_text(MAP.format(line))
    made = open_side(f"tdp+{path}")
    assert isinstance(made, KvmFactory)
    return made


def plain(name: str) -> KvmFactory:
    """A model as it is."""
    made = open_side(name)
    assert isinstance(made, KvmFactory)
    return made


def test_a_side_is_like_itself_and_says_what_was_equal() -> None:
    seen = strict.in_lockstep(FAULT, plain("tdp"), plain("tdp"))
    assert seen.difference is None
    assert seen.equal["RET_PF"] == 1
    assert seen.equal["spte"] > 3  # tables and the leaf
    assert seen.equal["lock"] > 0
    assert seen.equal["reference"] >= 2  # got and put
    assert seen.features


def test_a_read_more_is_no_difference(tmp_path: Path) -> None:
    line = "r = kvm_tdp_mmu_map(vcpu, fault) if kvm.mem.read_once(vcpu.mmu.root.hpa) >= 0 else 0"
    other = side(tmp_path, line)
    assert strict.in_lockstep(FAULT, plain("tdp"), other).difference is None
    for seed in range(5):
        assert strict.at_random(RACE, plain("tdp"), other, seed).difference is None
    assert all(
        seen.difference is None for _, seen in strict.Exploration(RACE, plain("tdp"), other, 60)
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        # The same tables in the end, by another way: the leaf is written twice.
        (
            "r = kvm_tdp_mmu_map(vcpu, fault); s = vcpu.mmu.root.hpa; "
            "kvm.mem.write_once(s, kvm.mem.load(s))",
            "spte",
        ),
        ("kvm_make_request(1, vcpu); r = kvm_tdp_mmu_map(vcpu, fault)", "request"),
        # Nobody serves this one: the vCPU never enters the guest again.
        ("kvm_make_request(1 << 9, vcpu); r = kvm_tdp_mmu_map(vcpu, fault)", "request"),
        (
            "r = kvm_tdp_mmu_map(vcpu, fault); "
            "kvm.mm.frames.get(fault.pfn); kvm.mm.put_page(fault.pfn)",
            "reference",
        ),
        (
            "kvm.tdp_mmu_pages_lock.lock(); kvm.tdp_mmu_pages_lock.unlock(); "
            "r = kvm_tdp_mmu_map(vcpu, fault)",
            "lock",
        ),
    ],
)
def test_an_effect_more_is_a_difference(line: str, what: str, tmp_path: Path) -> None:
    other = side(tmp_path, line)
    found = strict.in_lockstep(FAULT, plain("tdp"), other).difference
    assert found is not None
    assert found.right.startswith(what)
    found = strict.at_random(FAULT, plain("tdp"), other, 1).difference
    assert found is not None


def test_exploring_ends_and_has_every_plan_once() -> None:
    found = list(strict.Exploration(RACE, plain("tdp"), plain("tdp"), 10_000))
    plans = [plan for plan, _ in found]
    assert len(set(plans)) == len(plans)

    def preemptions(plan: strict.Plan) -> int:
        strict._events(RACE, plain("tdp"), decisions := strict.Decisions(plan))
        return sum(decisions.choices[number][1] for number, _ in plan)

    assert {preemptions(plan) for plan in plans} == {0, 1, 2}
    limited = strict.Exploration(RACE, plain("tdp"), plain("tdp"), 7)
    assert len(list(limited)) == 7
    assert not limited.complete


def test_exploring_lets_each_thread_be_the_first() -> None:
    """Who goes on where none runs is no preemption, and is tried nevertheless."""

    class HostFirst(strict.Decisions):
        def pick(self, sched: Moment, enabled: list[Task]) -> Task:
            return enabled[-1]

    def effects_of(decisions: strict.Decisions) -> str:
        return str(strict._events(RACE, plain("tdp"), decisions))

    exploration = strict.Exploration(RACE, plain("tdp"), plain("tdp"), 10_000)
    explored = {effects_of(strict.Decisions(plan)) for plan, _ in exploration}
    assert exploration.complete
    first = HostFirst()
    assert effects_of(first) in explored
    for number, (others, preempts) in enumerate(first.choices):
        assert preempts
        for at in range(others):
            assert effects_of(HostFirst(((number, at),))) in explored


def test_a_run_that_is_cut_short_is_neither_equal_nor_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(strict, "MOST_STEPS", 20)
    monkeypatch.setattr(strict, "SCHEDULED_STEPS", 80)
    assert strict.in_lockstep(RACE, plain("tdp"), plain("tdp")).cut
    exploration = strict.Exploration(RACE, plain("tdp"), plain("tdp"), 10_000)
    assert all(seen.cut for _, seen in exploration)
    assert not exploration.complete


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("kvm.mm.set_page_dirty(pfn)", "pass", "page"),
        ("kvm.mm.mark_page_accessed(pfn)", "pass", "page"),
        ("vcpu.tlb_ranges.append((start_gfn, pages))", "vcpu.tlb_ranges.append((0, 1))", "request"),
    ],
)
def test_what_the_host_and_the_tlbs_are_told_is_an_effect(
    old: str, new: str, what: str, tmp_path: Path
) -> None:
    source = Path(kvm_main.__file__).read_text().splitlines()
    number = next(at for at, line in enumerate(source, 1) if line.strip() == old)
    line = source[number - 1]
    patch = tmp_path / "other.patch"
    patch.write_text(
        "--- a/difffuzz/kvm/kvm_main.py\n+++ b/difffuzz/kvm/kvm_main.py\n"
        f"@@ -{number - 1},2 +{number - 1},2 @@\n {source[number - 2]}\n-{line}\n"
        f"+{line.replace(old, new)}\n"
    )
    other = open_side(f"legacy+{patch}")
    assert isinstance(other, KvmFactory)
    found = strict.in_lockstep(FLUSH, plain("legacy"), other).difference
    assert found is not None
    assert found.what == what


def test_a_bit_more_in_the_dirty_bitmap_is_a_difference(tmp_path: Path) -> None:
    line = (
        "r = kvm_tdp_mmu_map(vcpu, fault); "
        "fault.slot.dirty_bitmap and fault.slot.dirty_bitmap.update({1: 1})"
    )
    found = strict.in_lockstep(FLUSH, plain("tdp"), side(tmp_path, line)).difference
    assert found is not None
    assert found.what == "shared"


def test_a_variant_that_raises_differs(tmp_path: Path) -> None:
    other = side(tmp_path, "r = [][fault.gfn]")
    found = strict.in_lockstep(RACE, plain("tdp"), other).difference
    assert found is not None
    assert "crash IndexError" in found.right
    found = strict.at_random(RACE, plain("tdp"), other, 1).difference
    assert found is not None
    assert found.what == "crash"
    assert conform(RACE, plain("tdp"), other) is not None
    assert conform_scheduled(RACE, plain("tdp"), other, 1) is not None


def test_exploring_reaches_a_race(tmp_path: Path) -> None:
    """The page goes between the look for staleness and mmu_lock: nothing else shows the mistake."""
    path = (
        Path(__file__).parents[1] / "variants" / "refactors" / "stale-check-before-the-lock.patch"
    )
    proposal = Path(__file__).parents[2] / "difffuzz/variants/refactors/seed-proposal.patch"
    other = open_side(f"tdp+{proposal}+{path}")
    assert isinstance(other, KvmFactory)
    assert strict.in_lockstep(RACE, plain("tdp"), other).difference is None
    found = [seen.difference for _, seen in strict.Exploration(RACE, plain("tdp"), other, 200)]
    assert found[-1] is not None
