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
    ("config", "end"),
    [
        ("paging=tdp", TDP_END),
        ("maxphyaddr=45", 1 << 33),
        ("maxphyaddr=48", 1 << 36),
        ("root_level=5 maxphyaddr=51", 1 << 39),
        ("paging=nonpaging maxphyaddr=45", SHADOW_END),
    ],
)
def test_kvm_mmu_max_gfn_is_the_last_of_a_memslot(config: str, end: int) -> None:
    side = model(config)
    assert kvm_mmu_max_gfn(side.kvm) == end - 1
    hva = side.kvm.memslots[0].id_hash[0].userspace_addr
    assert kvm_set_memory_region(side.kvm, 0, 1, end - 1, 2, hva, 0) == -EINVAL
    assert kvm_set_memory_region(side.kvm, 0, 1, end - 2, 2, hva, 0) == 0


@pytest.mark.parametrize(("gfn", "sptes"), [(TDP_END - 1, 1), (TDP_END, 0)])
def test_kvm_handle_noslot_fault_beyond_makes_no_spte(gfn: int, sptes: int) -> None:
    side = model()
    vcpu = side.kvm.vcpus[0]
    assert kvm_mmu_reload(vcpu) == 0
    assert kvm_mmu_page_fault(vcpu, gfn << PAGE_SHIFT, PFERR_USER_MASK) == RET_PF_EMULATE
    assert vcpu.stat.pf_mmio_spte_created == sptes


@pytest.mark.parametrize(
    ("layout", "bits", "cached"), [("ept", 52, 1), ("npt", 52, 0), ("npt", 51, 1)]
)
def test_kvm_mmu_reset_all_pte_masks_of_52_bits(layout: str, bits: int, cached: int) -> None:
    """kvm_mmu_reset_all_pte_masks(): a CPU with 52 bits has none."""
    side = model(f"layout={layout} root_level=5 maxphyaddr={bits}")
    vcpu = side.kvm.vcpus[0]
    assert kvm_mmu_reload(vcpu) == 0
    assert kvm_mmu_page_fault(vcpu, 0x90000 << PAGE_SHIFT, PFERR_USER_MASK) == RET_PF_EMULATE
    assert vcpu.stat.pf_mmio_spte_created == cached
