# SPDX-License-Identifier: GPL-2.0-only
"""kvm_mmu_notifier, kvm_handle_hva_range(): which gfns a change of the host's memory concerns."""

from __future__ import annotations

from difffuzz.kvm.mmu_notifier import (
    kvm_mmu_invalidate_begin,
    kvm_mmu_invalidate_end,
    mmu_invalidate_retry_hva,
)

from .litmus import cases, litmus, models
from .vm import model

UNMAP = {
    "kvm_unmap_gfn_range_of_one_page": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x2        # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x4        # FIXED: ok, 4K rwx
        host0: swap_out area=1 page=0x3 n=0x1
        vcpu0: write gfn=0x2        # ok, 4K rwx
        vcpu0: write gfn=0x4        # ok, 4K rwx
        vcpu0: read gfn=0x3         # FIXED: ok 2, 4K r-x
        """,
    "hva_to_gfn_memslot": """
        # The memslot begins in the middle of the range, and at another page than gfn.
        slot 0 gfn=0x10 pages=0x4 area=1 page=0x4
        vcpu0: write gfn=0x10       # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x11       # FIXED: ok, 4K rwx
        host0: dontneed area=1 page=0x0 n=0x5
        vcpu0: read gfn=0x10        # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x11        # ok 2, 4K rwx
        """,
    "kvm_for_each_memslot_in_hva_range_of_two_slots_with_one_page": """
        slot 0 gfn=0x0 pages=0x400 area=1
        slot 1 gfn=0x1000 pages=0x8 area=1
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        vcpu0: read gfn=0x1003      # FIXED: ok 1, 4K rwx
        host0: dontneed area=1 page=0x3 n=0x1
        vcpu0: read gfn=0x3         # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x1003      # FIXED: ok 0, 4K r-x
        """,
    "kvm_for_each_memslot_in_hva_range_of_both_address_spaces": """
        slot 0 gfn=0x0 pages=0x400 area=1
        slot 0 as=1 gfn=0x0 pages=0x8 area=1
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        vcpu0: smm on
        vcpu0: read gfn=0x3         # FIXED: ok 1, 4K rwx
        host0: dontneed area=1 page=0x3 n=0x1
        vcpu0: read gfn=0x3         # FIXED: ok 0, 4K r-x
        vcpu0: smm off
        vcpu0: read gfn=0x3         # FIXED: ok 0, 4K r-x
        """,
    "kvm_unmap_gfn_range_of_part_of_a_huge_page": """
        slot 0 gfn=0x0 pages=0x400 area=0
        vcpu0: write gfn=0x3        # FIXED: ok, 2M rwx
        vcpu0: write gfn=0x203      # FIXED: ok, 2M rwx
        host0: dontneed area=0 page=0x3 n=0x1
        vcpu0: read gfn=0x4         # FIXED: ok 0, 4K rwx
        vcpu0: read gfn=0x203       # ok 2, 2M rwx
        """,
}
AGE = {
    "kvm_age_gfn_and_kvm_test_age_gfn": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        host0: cold area=1 page=0x3 n=0x1
        host0: test_age area=1 page=0x3                # young: KVM
        host0: age area=1 page=0x3 n=0x1 flush=on      # young: KVM
        host0: age area=1 page=0x3 n=0x1 flush=on      # not young
        vcpu0: read gfn=0x3         # ok 1, 4K rwx
        host0: age area=1 page=0x3 n=0x1 flush=on      # young: KVM
        """,
    "mark_spte_for_access_track_without_accessed_bits": """
        config ad=off
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        host0: cold area=1 page=0x3 n=0x1
        host0: age area=1 page=0x3 n=0x1 flush=on      # young: KVM
        host0: test_age area=1 page=0x3                # not young
        vcpu0: read gfn=0x3         # fast FIXED: ok 1, 4K r-x
        host0: test_age area=1 page=0x3                # young: KVM
        """,
    "clear_young_leaves_what_the_tlb_has": """
        # Without a flush the CPU does not set the bit again.
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        host0: cold area=1 page=0x3 n=0x1
        host0: age area=1 page=0x3 n=0x1 flush=off     # young: KVM
        vcpu0: read gfn=0x3         # ok 1, 4K rwx
        host0: test_age area=1 page=0x3                # not young
        """,
    "kvm_age_gfn_of_a_page_that_nobody_maps": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3        # FIXED: ok, 4K rwx
        host0: cold area=1 page=0x0 n=0x8
        host0: test_age area=1 page=0x4                # not young
        """,
}


@cases(UNMAP)
def test_kvm_handle_hva_range_unmaps(text: str) -> None:
    litmus(text)


@cases(AGE)
def test_kvm_handle_hva_range_ages(text: str) -> None:
    litmus(text)


def test_kvm_handle_hva_range_takes_no_lock_where_no_memslot_is() -> None:
    """mmu_invalidate_seq stays: no fault needs to know."""
    text = "slot 0 gfn=0x0 pages=0x8 area=1\nhost0: mmap area={} page=0x0 n=0x8"
    for area, counted in ((1, True), (2, False)):
        for side in models(f"{text.format(area)}\nhost0: munmap area={area} page=0x0 n=0x8"):
            assert (side.kvm.mmu_invalidate_seq > 0) == counted
            assert side.kvm.mn_active_invalidate_count == 0
            assert side.kvm.mmu_invalidate_in_progress == 0


def test_kvm_mmu_invalidate_begin_knows_the_hull_of_several() -> None:
    """kvm_mmu_invalidate_end() of one leaves the hull as it is, until the last has ended."""
    kvm = model().kvm
    kvm.mmu_lock.write_lock()
    kvm_mmu_invalidate_begin(kvm, 0x3000, 0x4000)
    seq = kvm.mmu_invalidate_seq
    assert [mmu_invalidate_retry_hva(kvm, seq, hva) for hva in (0x2FFF, 0x3000, 0x4000)] == [
        False,
        True,
        False,
    ]
    kvm_mmu_invalidate_begin(kvm, 0x8000, 0x9000)
    assert mmu_invalidate_retry_hva(kvm, seq, 0x5000)
    kvm_mmu_invalidate_end(kvm, 0x3000, 0x4000)
    assert kvm.mmu_invalidate_in_progress == 1
    assert mmu_invalidate_retry_hva(kvm, kvm.mmu_invalidate_seq, 0x3000)
    kvm_mmu_invalidate_end(kvm, 0x8000, 0x9000)
    assert not mmu_invalidate_retry_hva(kvm, kvm.mmu_invalidate_seq, 0x3000)
    assert mmu_invalidate_retry_hva(kvm, seq, 0x3000)
    kvm.mmu_lock.write_unlock()
    assert kvm.splats == []
