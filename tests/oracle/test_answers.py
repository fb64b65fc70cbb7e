# SPDX-License-Identifier: GPL-2.0-only
"""What both MMUs say of the age of a page is compared where both had the same to look at."""

from __future__ import annotations

import pytest

from .broken import run_as_it_is

AGED = (
    "config vcpus=2 nx=on\nslot 0 gfn=0x0 pages=0x200 area=0\nvcpu0: read gfn=0x0\n"
    "host0: age area=0 page=0x0 n=0x1 flush=off\nvcpu1: read gfn=0x0\n"
)


@pytest.mark.parametrize("kernel", ["", "@v6.12", "@v7.2"])
def test_a_split_keeps_what_the_legacy_mmu_takes(kernel: str) -> None:
    program = f"{AGED}vcpu0: exec gfn=0x1\nhost0: test_age area=0 page=0x0\n"
    assert not run_as_it_is(program, f"legacy{kernel}", f"tdp{kernel}").divergences
