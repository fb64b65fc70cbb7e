# SPDX-License-Identifier: GPL-2.0-only
"""What KVM_PRE_FAULT_MEMORY does on the models of kernels, and what the oracles say to it."""

from __future__ import annotations

import pytest

from difffuzz.engine import lockstep
from difffuzz.facts.errno import EFAULT, EINVAL, ENOENT, EOPNOTSUPP
from difffuzz.oracle.prefault import prefault_violations
from difffuzz.program import parse
from difffuzz.sides import open_side
from difffuzz.sides.base import DONE, Outcome
from difffuzz.sides.kvm_side import KvmSide

SLOTS = """\
difffuzz program v1
slot 0 gfn=0x0 pages=0x10 area=1
slot 1 gfn=0x40000 pages=0x8 area=1 page=0x20
"""
DELETED = f"{SLOTS}vcpu0: read gfn=0x1\nvmm: memslot_delete slot=1\nvcpu0: prefault gfn=0x2 n=0x1\n"


def run_on(side: str, text: str) -> tuple[KvmSide, list[Outcome]]:
    program = parse(text)
    started = open_side(side).start(program.config)
    assert isinstance(started, KvmSide)
    return started, [started.execute(op, number) for number, op in enumerate(program.ops, 1)]


@pytest.mark.parametrize("side", ["legacy@v6.12", "tdp@v6.12", "legacy@v7.2", "tdp@v7.2"])
def test_answers(side: str) -> None:
    for gfn, n, answer in ((0x1, 2, 0), (0xF, 4, 0), (0x10, 1, -ENOENT), (0x8, 1, -EFAULT)):
        host = "host0: mprotect area=1 page=0x8 n=0x1 prot=none\n"
        started, outcomes = run_on(side, f"{SLOTS}{host}vcpu0: prefault gfn={gfn:#x} n={n:#x}\n")
        assert outcomes[-1].value == answer
        mapped = {at for at, _ in started.tables.leaves_in(0, 0, 0x20)}
        assert mapped == (set() if answer else set(range(gfn, min(gfn + n, 0x10))))


def test_kernels_and_guests_that_have_none() -> None:
    for side in ("legacy", "tdp"):
        assert run_on(side, f"{SLOTS}vcpu0: prefault gfn=0x1 n=0x1\n")[1][0].value == -EINVAL
    text = SLOTS.replace("v1\n", "v1\nconfig paging=nonpaging layout=npt max_level=2M\n")
    _, outcomes = run_on("legacy@v7.2", f"{text}vcpu0: prefault gfn=0x1 n=0x1\n")
    assert outcomes[0].value == -EOPNOTSUPP


def test_a_prefault_that_never_completes_is_told() -> None:
    found = lockstep.run(parse(DELETED), open_side("legacy@v6.12"), open_side("tdp@v6.12"))
    assert [one.oracle for one in found.divergences] == ["progress", "progress"]
    quiet = lockstep.run(parse(DELETED), open_side("legacy@v7.2"), open_side("tdp@v7.2"))
    assert not quiet.divergences


def test_a_page_that_is_said_to_be_mapped_is_mapped() -> None:
    started, _ = run_on("tdp@v7.2", f"{SLOTS}vcpu0: prefault gfn=0x1 n=0x1\n")
    assert not prefault_violations(started, 0, 0x1, 1, Outcome(DONE))
    (found,) = prefault_violations(started, 0, 0x2, 1, Outcome(DONE))
    assert (found.oracle, found.location) == ("answers", "prefault")
