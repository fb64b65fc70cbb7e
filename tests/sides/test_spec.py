# SPDX-License-Identifier: GPL-2.0-only
"""The specification, as small programs with the result of each of their accesses."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.program import Kind, Program, parse
from difffuzz.sides import open_side, spec
from difffuzz.sides.base import Outcome

SMALL = "slot 0 gfn=0x0 pages=0x400 area=1\n"
ACCESSES = (Kind.READ, Kind.WRITE, Kind.EXEC, Kind.END_FAULT)


def program_of(text: str) -> Program:
    return parse(f"difffuzz program v1\n{text}")


def outcomes(text: str) -> list[Outcome]:
    program = program_of(text)
    side = open_side("spec").start(program.config)
    return [
        outcome
        for number, op in enumerate(program.ops, 1)
        for outcome in [side.execute(op, number)]
        if op.kind in ACCESSES
    ]


CASES = {
    # name: (program, the result of each access and its value); a write writes its number
    "fresh_memory_is_zero": (f"{SMALL}vcpu0: read gfn=0x3\n", ["ok 0"]),
    "what_was_written_is_read": (
        f"{SMALL}vcpu0: write gfn=0x3\nvcpu0: read gfn=0x3\nvcpu0: exec gfn=0x3\n",
        ["ok 1", "ok 1", "ok 1"],
    ),
    "no_slot_is_mmio": (f"{SMALL}vcpu0: read gfn=0x400\nvcpu0: write gfn=0x400\n", ["mmio 0"] * 2),
    "a_write_to_a_readonly_slot_is_mmio": (
        "slot 0 gfn=0x0 pages=0x8 area=1 flags=readonly\n"
        "vcpu0: read gfn=0x3\nvcpu0: write gfn=0x3\n",
        ["ok 0", "mmio 0"],
    ),
    "no_mapping_is_an_error": (
        f"{SMALL}host0: munmap area=1 page=0x3 n=0x1\nvcpu0: read gfn=0x3\nvcpu0: read gfn=0x4\n",
        ["error -14", "ok 0"],
    ),
    "no_permission_is_an_error": (
        f"{SMALL}host0: mprotect area=1 page=0x3 n=0x1 prot=r\n"
        "vcpu0: read gfn=0x3\nvcpu0: write gfn=0x3\n",
        ["ok 0", "error -14"],
    ),
    "poison_is_a_signal": (
        f"{SMALL}vcpu0: write gfn=0x3\nhost0: hwpoison area=1 page=0x3\n"
        "vcpu0: read gfn=0x3\nvcpu0: read gfn=0x4\n",
        ["ok 1", "sigbus 0", "ok 0"],
    ),
    "dropped_memory_is_zero_again": (
        f"{SMALL}vcpu0: write gfn=0x3\nhost0: dontneed area=1 page=0x3 n=0x1\n"
        "vcpu0: read gfn=0x3\n",
        ["ok 1", "ok 0"],
    ),
    "swapped_memory_comes_back": (
        f"{SMALL}vcpu0: write gfn=0x3\nhost0: swap_out area=1 page=0x3 n=0x1\n"
        "vcpu0: read gfn=0x3\n",
        ["ok 1", "ok 1"],
    ),
    "the_host_sees_and_writes_the_same_memory": (
        f"{SMALL}host0: host_write area=1 page=0x3\nvcpu0: read gfn=0x3\n",
        ["ok 1"],
    ),
    "smm_is_another_address_space": (
        f"{SMALL}slot 0 as=1 gfn=0x0 pages=0x8 area=1 page=0x8\n"
        "vcpu0: write gfn=0x8\nvcpu0: smm on\nvcpu0: read gfn=0x0\nvcpu0: read gfn=0x8\n",
        ["ok 1", "ok 1", "mmio 0"],
    ),
    "a_moved_slot_takes_its_memory_along": (
        f"{SMALL}vcpu0: write gfn=0x3\nvmm: memslot_move slot=0 gfn=0x1000\n"
        "vcpu0: read gfn=0x1003\nvcpu0: read gfn=0x3\n",
        ["ok 1", "ok 1", "mmio 0"],
    ),
    "device_memory_may_be_read_only": (
        "area 1 pfnmap\nslot 0 gfn=0x0 pages=0x8 area=1\nvcpu0: write gfn=0x3\n"
        "host0: mprotect area=1 page=0x3 n=0x1 prot=r\nvcpu0: read gfn=0x3\nvcpu0: write gfn=0x3\n",
        ["ok 1", "ok 1", "mmio 0"],
    ),
    "device_memory_may_be_gone": (
        "area 1 pfnmap\nslot 0 gfn=0x0 pages=0x8 area=1\n"
        "host0: munmap area=1 page=0x0 n=0x8\nvcpu0: read gfn=0x3\n",
        ["error -14"],
    ),
    "a_parked_access_is_made_at_its_end": (
        f"{SMALL}vcpu0: begin_fault gfn=0x3 access=read\nhost0: host_write area=1 page=0x3\n"
        "vcpu0: end_fault\n",
        ["ok 2"],
    ),
    "only_vcpus_that_exist_run": (
        f"{SMALL}vmm: vcpu_create\nvcpu1: write gfn=0x3\nvcpu0: read gfn=0x3\n",
        ["ok 2", "ok 2"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_what_the_guest_sees(text: str, expected: list[str]) -> None:
    assert [f"{outcome.result} {outcome.value}" for outcome in outcomes(text)] == expected


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("side", ["legacy", "tdp"])
def test_both_mmus_show_the_guest_the_same(name: str, side: str) -> None:
    text, expected = CASES[name]
    program = program_of(text)
    model = open_side(side).start(program.config)
    seen = []
    for number, op in enumerate(program.ops, 1):
        outcome = model.execute(op, number)
        if op.kind in ACCESSES:
            seen.append(f"{outcome.result} {outcome.value}")
    assert seen == expected


def test_it_stands_on_no_code_of_the_model() -> None:
    """Else a mistake of the model would be its own judge."""
    text = Path(spec.__file__).read_text()
    assert "difffuzz.kvm" not in text
    assert "sides.model" not in text
