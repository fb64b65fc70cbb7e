# SPDX-License-Identifier: GPL-2.0-only
"""What the oracles say to KVM_PRE_FAULT_MEMORY on the models of kernels."""

from __future__ import annotations

from difffuzz.engine import lockstep
from difffuzz.oracle.prefault import prefault_violations
from difffuzz.program import parse
from difffuzz.sides import open_side
from difffuzz.sides.base import DONE, Outcome
from tests.kvm.litmus import program_text, ran_on

SLOTS = """\
slot 0 gfn=0x0 pages=0x10 area=1
slot 1 gfn=0x40000 pages=0x8 area=1 page=0x20
"""
DELETED = program_text(
    f"{SLOTS}vcpu0: read gfn=0x1\nvmm: memslot_delete slot=1\nvcpu0: prefault gfn=0x2 n=0x1"
)


def test_a_prefault_that_never_completes_is_told() -> None:
    found = lockstep.run(parse(DELETED), open_side("legacy@v6.12"), open_side("tdp@v6.12"))
    assert [one.oracle for one in found.divergences] == ["progress", "progress"]
    quiet = lockstep.run(parse(DELETED), open_side("legacy@v7.2"), open_side("tdp@v7.2"))
    assert not quiet.divergences


def test_a_page_that_is_said_to_be_mapped_is_mapped() -> None:
    started, _ = ran_on("tdp@v7.2", f"{SLOTS}vcpu0: prefault gfn=0x1 n=0x1\n")
    assert not prefault_violations(started, 0, 0x1, 1, Outcome(DONE))
    (found,) = prefault_violations(started, 0, 0x2, 1, Outcome(DONE))
    assert (found.oracle, found.location) == ("answers", "prefault")
