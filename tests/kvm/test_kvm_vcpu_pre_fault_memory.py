# SPDX-License-Identifier: GPL-2.0-only
"""kvm_vcpu_pre_fault_memory() of the models of kernels, and of those that have none."""

from __future__ import annotations

import pytest

from difffuzz.facts.errno import EFAULT, EINVAL, ENOENT, EOPNOTSUPP

from .litmus import ran_on

SLOTS = """\
slot 0 gfn=0x0 pages=0x10 area=1
slot 1 gfn=0x40000 pages=0x8 area=1 page=0x20
"""


@pytest.mark.parametrize("side", ["legacy@v6.12", "tdp@v6.12", "legacy@v7.2", "tdp@v7.2"])
def test_kvm_vcpu_pre_fault_memory(side: str) -> None:
    for gfn, n, answer in ((0x1, 2, 0), (0xF, 4, 0), (0x10, 1, -ENOENT), (0x8, 1, -EFAULT)):
        host = "host0: mprotect area=1 page=0x8 n=0x1 prot=none\n"
        started, outcomes = ran_on(side, f"{SLOTS}{host}vcpu0: prefault gfn={gfn:#x} n={n:#x}\n")
        assert outcomes[-1].value == answer
        mapped = {at for at, _ in started.tables.leaves_in(0, 0, 0x20)}
        assert mapped == (set() if answer else set(range(gfn, min(gfn + n, 0x10))))


def test_kvm_vcpu_pre_fault_memory_of_kernels_and_guests_that_have_none() -> None:
    for side in ("legacy", "tdp"):
        assert ran_on(side, f"{SLOTS}vcpu0: prefault gfn=0x1 n=0x1\n")[1][0].value == -EINVAL
    text = f"config paging=nonpaging layout=npt max_level=2M\n{SLOTS}"
    _, outcomes = ran_on("legacy@v7.2", f"{text}vcpu0: prefault gfn=0x1 n=0x1\n")
    assert outcomes[0].value == -EOPNOTSUPP
