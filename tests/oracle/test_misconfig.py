# SPDX-License-Identifier: GPL-2.0-only
"""The rule misconfig-is-a-read, where the read made the host's page present."""

from __future__ import annotations

from collections import Counter

import pytest

from difffuzz.facts.errno import EFAULT
from difffuzz.facts.kvm import RET_PF_EMULATE, RET_PF_FIXED, RET_PF_INVALID
from difffuzz.oracle.access import compare_outcomes
from difffuzz.sides.base import ERROR, MMIO, Outcome

from .broken import run_as_it_is

PFNMAP = (
    "config vcpus=2\narea 2 pfnmap\nhost0: mprotect area=2 page=0x0 n=0x1 prot=r\n"
    "vcpu0: read gfn=0x0\n{limit}"
    "vmm: memslot_create slot=0 gfn=0x0 n=0x1 area=2 page=0x0\nvcpu1: write gfn=0x0\n"
)


@pytest.mark.parametrize(("limit", "used"), [("vmm: mmu_pages n=8\n", 1), ("", 0)])
def test_a_read_only_pfnmap_area(limit: str, used: int) -> None:
    # Under the limit the legacy MMU reclaims the table with the MMIO SPTE.
    verdict = run_as_it_is(PFNMAP.format(limit=limit))
    assert verdict.divergences == []
    assert verdict.allowed["misconfig-is-a-read"] == used


@pytest.mark.parametrize(
    "rets",
    [
        (RET_PF_INVALID, RET_PF_EMULATE),
        (RET_PF_FIXED, RET_PF_EMULATE),
        (RET_PF_INVALID, RET_PF_FIXED),
    ],
)
def test_the_read_must_have_mapped_the_page_and_the_write_been_emulated(
    rets: tuple[int, ...],
) -> None:
    left, right = Outcome(MMIO), Outcome(ERROR)
    left.rets, right.rets = rets, (-EFAULT,)
    allowed: Counter[str] = Counter()
    assert list(compare_outcomes("one", "two", left, right, True, False, False, allowed))
    assert not allowed["misconfig-is-a-read"]
