# SPDX-License-Identifier: GPL-2.0-only
"""handle_mmio_page_fault(): an MMIO SPTE answers by itself, as long as no memslot has changed."""

from __future__ import annotations

from .litmus import litmus, models

AGAIN = """
    slot 0 gfn=0x0 pages=0x400 area=1
    vcpu0: read gfn=0x400   # EMULATE: mmio
    vcpu0: read gfn=0x400   # EMULATE: mmio
    vcpu0: write gfn=0x400  # EMULATE: mmio
    """
STALE = """
    slot 0 gfn=0x0 pages=0x400 area=1
    vcpu0: read gfn=0x400   # EMULATE: mmio
    vmm: memslot_create slot=1 gfn=0x400 n=0x1 area=1 page=0x400
    vcpu0: read gfn=0x400   # INVALID FIXED: ok 0, 4K r-x
    """
ELSEWHERE = """
    slot 0 gfn=0x0 pages=0x400 area=1
    vcpu0: read gfn=0x400   # EMULATE: mmio
    vmm: memslot_create slot=1 gfn=0x800 n=0x1 area=1 page=0x400
    vcpu0: read gfn=0x400   # INVALID EMULATE: mmio
    vcpu0: read gfn=0x400   # EMULATE: mmio
    """
WRAPPED = """
    # kvm_mmu_invalidate_mmio_sptes(): the generation of MMIO SPTEs begins again.
    config gen_bias=1
    slot 0 gfn=0x0 pages=0x400 area=1
    vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
    vcpu0: read gfn=0x400   # EMULATE: mmio
    vmm: memslot_create slot=1 gfn=0x800 n=0x1 area=1 page=0x400
    vmm: memslot_create slot=2 gfn=0x900 n=0x1 area=1 page=0x400
    vmm: memslot_create slot=3 gfn=0xa00 n=0x1 area=1 page=0x400
    vcpu0: read gfn=0x400   # EMULATE: mmio
    vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
    """


def created(text: str) -> list[int]:
    """MMIO SPTEs that were made, on each side."""
    return [side.kvm.vcpus[0].stat.pf_mmio_spte_created for side in models(text)]


def test_handle_mmio_page_fault_answers_by_the_spte() -> None:
    litmus(AGAIN)
    assert created(AGAIN) == [1, 1]


def test_check_mmio_spte_of_an_older_generation() -> None:
    """RET_PF_INVALID: the fault is handled as any other, and finds the memslot."""
    litmus(STALE)
    assert created(STALE) == [1, 1]


def test_check_mmio_spte_whatever_memslot_changed() -> None:
    litmus(ELSEWHERE)
    assert created(ELSEWHERE) == [2, 2]


def test_kvm_mmu_invalidate_mmio_sptes_when_the_generation_wraps() -> None:
    litmus(WRAPPED)
