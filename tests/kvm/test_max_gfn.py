# SPDX-License-Identifier: GPL-2.0-only
"""The last gfn: no memslot and no MMIO SPTE beyond it, and it is the CPU's MAXPHYADDR with TDP."""

from __future__ import annotations

import pytest

from difffuzz.facts.errno import EINVAL
from difffuzz.facts.kvm import RET_PF_EMULATE
from difffuzz.facts.paging import MAXPHYADDR, PAGE_SHIFT, PFERR_USER_MASK
from difffuzz.kvm.memslot_update import kvm_set_memory_region
from difffuzz.kvm.mmu_internal import kvm_mmu_max_gfn
from difffuzz.kvm.mmu_roots import kvm_mmu_reload
from difffuzz.kvm.x86 import kvm_mmu_page_fault

from .vm import model

TDP_END = 1 << MAXPHYADDR - PAGE_SHIFT
SHADOW_END = 1 << 52 - PAGE_SHIFT


@pytest.mark.parametrize(
    ("paging", "end"), [("paging=tdp", TDP_END), ("paging=nonpaging", SHADOW_END)]
)
def test_no_memslot_reaches_beyond(paging: str, end: int) -> None:
    side = model(paging)
    assert kvm_mmu_max_gfn(side.kvm) == end - 1
    hva = side.kvm.memslots[0].id_hash[0].userspace_addr
    assert kvm_set_memory_region(side.kvm, 0, 1, end - 1, 2, hva, 0) == -EINVAL
    assert kvm_set_memory_region(side.kvm, 0, 1, end - 2, 2, hva, 0) == 0


@pytest.mark.parametrize(("gfn", "sptes"), [(TDP_END - 1, 1), (TDP_END, 0)])
def test_mmio_beyond_is_emulated_without_an_spte(gfn: int, sptes: int) -> None:
    side = model()
    vcpu = side.kvm.vcpus[0]
    assert kvm_mmu_reload(vcpu) == 0
    assert kvm_mmu_page_fault(vcpu, gfn << PAGE_SHIFT, PFERR_USER_MASK) == RET_PF_EMULATE
    assert vcpu.stat.pf_mmio_spte_created == sptes
