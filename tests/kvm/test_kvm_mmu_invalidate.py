# SPDX-License-Identifier: GPL-2.0-only
"""A host that errs: empty invalidations, and halves of one.  What KVM says of it."""

from __future__ import annotations

import pytest

from difffuzz.engine.lockstep import run
from difffuzz.program import ProgramError, parse
from difffuzz.sides import open_side

TEXT = """difffuzz program v1
config host_errs={errs}
slot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0
vcpu0: write gfn=0x1
{ops}
"""
EMPTY = "__kvm_handle_hva_range"


def found(ops: str, kernel: str = "") -> list[tuple[str, str]]:
    """Oracles and places of a program of a host that may err."""
    program = parse(TEXT.format(errs="on", ops=ops))
    verdict = run(program, open_side(f"legacy{kernel}"), open_side(f"tdp{kernel}"))
    return [(one.oracle, one.location) for one in verdict.divergences]


@pytest.mark.parametrize(
    "op",
    [
        "dontneed area=1 page=0x1 n=0x0",
        "pageout area=1 page=0x1 n=0x0",
        "age area=1 page=0x1 n=0x0 flush=on",
        "invalidate area=1 page=0x1 n=0x0 whole",
    ],
)
def test_an_empty_range_is_warned_of(op: str) -> None:
    assert found(f"host0: {op}") == [("warn", EMPTY)] * 2
    with pytest.raises(ProgramError, match=r"0x1\.\.0x80000: else the host errs"):
        parse(TEXT.format(errs="off", ops=f"host0: {op}"))


def test_an_end_without_a_start() -> None:
    op = "host0: invalidate area=1 page=0x1 n=0x1 end"
    assert found(op) == [("warn", "invalidate_range_end")] * 2
    assert found(op, "@v7.2") == [("warn", "kvm_mmu_invalidate_end")] * 2
    with pytest.raises(ProgramError, match="whole: else the host errs"):
        parse(TEXT.format(errs="off", ops=op))


def test_a_start_without_an_end_is_waited_for_in_vain() -> None:
    start = "host0: invalidate area=1 page=0x1 n=0x1 start\n"
    assert {oracle for oracle, _ in found(f"{start}vcpu0: write gfn=0x1")} == {"progress"}
    assert {oracle for oracle, _ in found(f"{start}vmm: memslot_delete slot=0 as=0")} == {
        "deadlock"
    }
    assert found(f"{start}vcpu0: write gfn=0x2") == []


def test_a_fault_over_the_end_of_an_invalidation_retries() -> None:
    ops = """host0: invalidate area=1 page=0x1 n=0x1 start
vcpu0: begin_fault gfn=0x2 access=write
host0: invalidate area=1 page=0x1 n=0x1 end
vcpu0: end_fault"""
    assert found(ops) == []
