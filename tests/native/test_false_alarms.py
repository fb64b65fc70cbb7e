# SPDX-License-Identifier: GPL-2.0-only
"""What today's kernel does and is right to do: oracles that knew older ones objected once."""

from __future__ import annotations

import pytest

from difffuzz.engine import lockstep
from difffuzz.engine.explore import explore
from difffuzz.program import parse
from difffuzz.sched.interleave import Interleaver
from difffuzz.sides import NativeFactory, open_side

from .kernel import built_newer, programs

GIGABYTE = """area 3 hugetlb1g
slot 0 as=0 gfn=0x0 pages=0x40000 area=3 page=0x0
vcpu0: write gfn=0x0
vmm: memslot_flags slot=0 as=0 flags=dirty
"""
"""Splitting the page takes more steps than a run of the model may."""
GENERATION = """config gen_bias=1
vcpu0: read gfn=0x1
vmm: memslot_create slot=0 as=0 gfn=0x10 n=0x1 area=1 page=0x0 flags=none
vcpu0: read gfn=0x1
vmm: memslot_delete slot=0 as=0
vcpu0: read gfn=0x1
"""
"""The MMIO generation, which has fewer bits than before, is about to wrap."""
AGING = """slot 0 as=0 gfn=0x0 pages=0x8 area=1 page=0x0
vcpu0: write gfn=0x1
vmm: sync
host0: age area=1 page=0x1 n=0x1 flush=off
host1: munmap area=1 page=0x1 n=0x1
"""
"""Who unmaps a page waits for a bit of its rmap, which who ages it has set, without mmu_lock."""
FAULTING = """config vcpus=2
slot 0 as=0 gfn=0x0 pages=0x8 area=1 page=0x0
vcpu0: write gfn=0x1
vmm: sync
host0: age area=1 page=0x1 n=0x1 flush=off
vcpu1: guest_mode on
vcpu1: write gfn=0x1
"""
"""So does who maps it once more: an L2 guest has a root of its own."""


def sides() -> tuple[NativeFactory, NativeFactory]:
    """Both MMUs of Linux 7.2."""
    found = [open_side(f"native:{built_newer('7.2')}:{mmu}") for mmu in ("legacy", "tdp")]
    assert isinstance(found[0], NativeFactory)
    assert isinstance(found[1], NativeFactory)
    return found[0], found[1]


@pytest.mark.parametrize("text", [GIGABYTE, GENERATION], ids=["gigabyte", "generation"])
def test_one_operation_at_a_time(text: str) -> None:
    program = parse(f"difffuzz program v1\n{text}")
    assert lockstep.run(program, *sides()).divergences == []


def test_what_a_split_leaves_writable_was_writable() -> None:
    left, right = sides()
    split = [one for one in programs("regressions") if is_of_a_split(one.config.slots)]
    assert split
    for program in split:
        assert lockstep.run(program, left, right).divergences == []


def is_of_a_split(slots: tuple[tuple[int, ...], ...]) -> bool:
    """A slot of each address space at gfn 0, the first of a huge page."""
    return [slot[1:3] for slot in slots] == [(0, 0), (1, 0)]


@pytest.mark.parametrize(
    ("text", "waiting"), [(AGING, "host1"), (FAULTING, "vcpu1")], ids=["unmaps", "faults"]
)
def test_who_waits_for_a_bit_of_an_rmap_lets_others_go_on(
    text: str, waiting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[str] = []
    relax = Interleaver.relax

    def noted(self: Interleaver) -> None:
        waits.append(self.current.name)
        relax(self)

    monkeypatch.setattr(Interleaver, "relax", noted)
    program = parse(f"difffuzz program v1\n{text}")
    legacy, _ = sides()
    found = explore(program, legacy, legacy, 1, reduce=False, sides=(0,))
    assert found.complete
    assert found.shown == []
    assert waiting in waits
