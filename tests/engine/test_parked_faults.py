# SPDX-License-Identifier: GPL-2.0-only
"""Parked faults: what ends one, and what its answer then is."""

from __future__ import annotations

import pytest

from difffuzz.engine import lockstep
from difffuzz.engine.lockstep import Step
from difffuzz.facts.kvm import RET_PF_FIXED
from difffuzz.program import Kind
from difffuzz.sides import open_side
from difffuzz.sides.kvm_side import KvmSide

from .runs import SMALL, Kept, program_of, steps

BEGIN = "vcpu0: begin_fault gfn=0x3 access=write\n"
END = "vcpu0: end_fault\n"


def trace(text: str, right: str = "tdp") -> list[Step]:
    """The steps of a program that meets no divergence."""
    sides = open_side("legacy"), open_side(right)
    verdict = lockstep.run(program_of(text), *sides, trace=True)
    assert verdict.divergences == []
    return list(steps(verdict))


def kinds(text: str) -> list[str]:
    return [step.op.kind.name.lower() for step in trace(text)]


def answers(text: str) -> list[tuple[int, ...]]:
    """RET_PF_* of the ends of parked faults; they are the same on both sides."""
    found = []
    for step in trace(text):
        assert step.left is not None
        assert step.right is not None
        if step.op.kind == Kind.END_FAULT and step.left.parked:
            assert step.left.rets == step.right.rets
            found.append(step.left.rets)
    return found


def test_a_fault_that_nothing_disturbs_maps_its_page() -> None:
    assert answers(f"{SMALL}{BEGIN}{END}") == [(RET_PF_FIXED,)]


def test_a_second_begin_and_an_end_too_many_do_nothing() -> None:
    text = f"{SMALL}{BEGIN}vcpu0: begin_fault gfn=0x7 access=read\n{END}{END}"
    begin, again, end, nothing = trace(text)
    for step, result in ((begin, "nothing"), (again, "nothing"), (end, "ok"), (nothing, "nothing")):
        assert step.left is not None
        assert step.right is not None
        assert (step.left.result, step.right.result) == (result, result)
    assert begin.left is not None
    assert begin.left.parked
    assert end.left is not None
    assert end.left.fault_gfn == 0x3


@pytest.mark.parametrize(
    ("op", "ends"),
    [
        ("vcpu0: read gfn=0x8", True),
        ("vcpu0: smm on", True),
        ("vcpu0: guest_mode on", True),
        ("vcpu0: reload", True),
        ("vcpu1: read gfn=0x8", False),
        ("host0: dontneed area=1 page=0x0 n=0x8", False),
        ("vmm: dirty_get slot=0", False),
        ("vmm: memslot_delete slot=0", True),
        ("vmm: memslot_delete slot=7", True),
        ("vmm: memslot_flags slot=0 flags=dirty", True),
        ("vmm: memslot_move slot=0 gfn=0x1000", True),
        ("vmm: memslot_create slot=1 gfn=0x1000 n=0x8 area=1 page=0x8", True),
    ],
)
def test_what_has_to_wait_for_a_fault_ends_it_first(op: str, ends: bool) -> None:
    name = op.split()[1]
    expected = ["begin_fault", *(["end_fault"] if ends else []), name]
    assert kinds(f"config vcpus=2\n{SMALL}{BEGIN}{op}\n") == expected


def test_a_memslot_update_ends_every_fault_in_the_order_of_vcpus() -> None:
    text = (
        f"config vcpus=3\n{SMALL}vcpu2: begin_fault gfn=0x5 access=read\n"
        f"{BEGIN}vmm: memslot_delete slot=0\nvcpu2: end_fault\n"
    )
    ran = [(step.op.kind.name.lower(), step.op.thread) for step in trace(text)]
    assert ran[2:] == [("end_fault", 0), ("end_fault", 2), ("memslot_delete", 6), ("end_fault", 2)]


def test_an_operation_with_its_ends_has_one_index() -> None:
    indices = [step.op_index for step in trace(f"{SMALL}{BEGIN}vcpu0: read gfn=0x8\n")]
    assert indices == [0, 1, 1]


def test_a_fault_that_parks_on_one_side_goes_on_at_once() -> None:
    """The legacy MMU has prefetched the page, the TDP MMU has to fault."""
    text = (
        f"{SMALL}host0: host_write area=1 page=0x0\nhost0: host_write area=1 page=0x1\n"
        "vcpu0: read gfn=0x0\nvcpu0: begin_fault gfn=0x1 access=read\nvcpu0: read gfn=0x8\n"
    )
    assert kinds(text)[3:] == ["begin_fault", "end_fault", "read"]


def test_an_access_without_fault_is_made_at_the_end() -> None:
    text = f"{SMALL}vcpu0: write gfn=0x3\n{BEGIN}{END}"
    begin, end = trace(text)[1:]
    assert begin.left is not None
    assert end.left is not None
    assert not begin.left.parked
    assert (end.left.result, end.left.rets) == ("ok", ())


def test_a_parked_fault_holds_its_page() -> None:
    """The host can free the page only after the fault let go of it."""
    program = program_of(f"{SMALL}{BEGIN}host0: dontneed area=1 page=0x3 n=0x1\n")
    side = open_side("tdp").start(program.config)
    assert isinstance(side, KvmSide)
    begin, dontneed = program.ops
    side.execute(begin, 1)
    pfn = side.mm.lookup((2 << 40) + (3 << 12)) >> 12
    side.execute(dontneed, 2)
    assert not side.mm.frames.is_free(pfn)
    side.finish_faults(3)
    assert side.mm.frames.is_free(pfn)


def test_faults_that_are_still_parked_end_with_the_program() -> None:
    sides = Kept("legacy"), Kept("tdp")
    text = f"config vcpus=2\n{SMALL}{BEGIN}vcpu1: begin_fault gfn=0x8 access=read\n"
    assert lockstep.run(program_of(text), *sides).divergences == []
    for kept in sides:
        (side,) = kept.started
        assert isinstance(side, KvmSide)
        assert side.guests.faults == {}
        assert side.sched.parked == []
        assert side.mm.frames.leaked() == []


def test_the_specification_knows_parked_faults_too() -> None:
    text = f"{SMALL}{BEGIN}host0: dontneed area=1 page=0x3 n=0x1\n{END}vcpu0: read gfn=0x3\n"
    for step in trace(text, right="spec"):
        assert step.left is not None
        assert step.right is not None
        assert (step.left.result, step.left.value) == (step.right.result, step.right.value)
