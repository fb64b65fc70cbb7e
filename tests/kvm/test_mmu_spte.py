# SPDX-License-Identifier: GPL-2.0-only
"""mmu_spte.py: the legacy MMU's rmap has every SPTE of a page; the host hears what each said."""

from __future__ import annotations

from difffuzz.kvm.mmu_internal import sptep_to_sp
from difffuzz.kvm.mmu_spte import kvm_mmu_page_get_gfn

from .litmus import cases, litmus, models
from .vm import Modelled

BOTH = """
    slot 0 gfn=0x0 pages=0x400 area=1
    vcpu0: write gfn=0x3
    vcpu0: guest_mode on
    vcpu0: write gfn=0x3
    """
AGES = {
    "mmu_spte_clear_track_bits_tells_that_a_page_was_written": """
        # Reclaim writes it to swap: what the guest wrote comes back.
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        host0: swap_out area=1 page=0x3 n=0x1
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K r-x
        """,
    "mmu_spte_age_clears_one_of_two_roots_too": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vcpu0: guest_mode on
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        host0: cold area=1 page=0x3 n=0x1
        host0: age area=1 page=0x3 n=0x1 flush=on   # young: KVM
        host0: test_age area=1 page=0x3             # not young
        vcpu0: read gfn=0x3     # ok 1, 4K rwx
        host0: test_age area=1 page=0x3             # young: KVM
        """,
}


def rmap(side: Modelled, level: int = 1) -> dict[int, list[int]]:
    """Pointers to the SPTEs of each page of the first memslot."""
    heads = side.kvm.memslots[0].id_hash[0].arch.rmap
    assert heads is not None
    return {index: ptes for index, ptes in heads[level - 1].items() if ptes}


@cases(AGES)
def test_mmu_spte(text: str) -> None:
    litmus(text)


def test_rmap_add_and_pte_list_add_of_two_roots() -> None:
    legacy, tdp = models(BOTH)
    (sptes,) = rmap(legacy).values()
    assert [kvm_mmu_page_get_gfn(sptep_to_sp(legacy.kvm, p), p >> 3 & 511) for p in sptes] == [3, 3]
    assert len(set(sptes)) == 2
    assert tdp.kvm.memslots[0].id_hash[0].arch.rmap is None or not rmap(tdp)


def test_rmap_remove_and_kvm_zap_all_rmap_sptes() -> None:
    legacy, _ = models(f"{BOTH}host0: munmap area=1 page=0x3 n=0x1\n")
    assert rmap(legacy) == {}
    assert legacy.kvm.stat.pages == [0, 0, 0]


def test_rmap_add_of_a_huge_page() -> None:
    legacy, _ = models("slot 0 gfn=0x0 pages=0x400 area=2\nvcpu0: read gfn=0x203")
    assert rmap(legacy) == {}
    assert list(rmap(legacy, level=2)) == [1]
