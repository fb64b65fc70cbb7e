# SPDX-License-Identifier: GPL-2.0-only
"""is_page_fault_stale(): a fault whose page was taken away since it looked must not map it."""

from __future__ import annotations

from .litmus import cases, litmus

STALE = {
    "the_page_was_invalidated": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        host0: dontneed area=1 page=0x3 n=0x1
        vcpu0: end_fault                         # RETRY FIXED: ok, 4K rwx
        """,
    "a_neighbour_was_invalidated": """
        # mmu_invalidate_seq is one for the whole VM.
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=read   # parked
        host0: dontneed area=1 page=0x300 n=0x1
        vcpu0: end_fault                         # RETRY FIXED: ok 0, 4K r-x
        """,
    "the_page_was_mapped_anew": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        host0: munmap area=1 page=0x0 n=0x8
        host0: mmap area=1 page=0x0 n=0x8
        vcpu0: end_fault                         # RETRY FIXED: ok, 4K rwx
        """,
    "the_page_is_shared_with_a_child_now": """
        slot 0 gfn=0x0 pages=0x400 area=1
        # The second attempt breaks the copy-on-write, which is an invalidation of its own.
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        host0: fork area=1 page=0x0 n=0x8
        vcpu0: end_fault                         # RETRY RETRY FIXED: ok, 4K rwx
        """,
    "the_page_is_gone": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        host0: munmap area=1 page=0x3 n=0x1
        vcpu0: end_fault                         # RETRY -14: error
        """,
    "the_root_is_obsolete": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        vmm: nx on
        vcpu0: end_fault                         # RETRY FIXED: ok, 4K rwx
        """,
    "kvm_zap_gfn_range_of_its_gfn": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        vmm: zap_gfn_range gfn=0x0 n=0x8
        vcpu0: end_fault                         # RETRY FIXED: ok, 4K rwx
        """,
    "kvm_zap_gfn_range_of_other_gfns": """
        # It holds off every fault, for its range is of gfns and faults are checked by hva.
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=read   # parked
        vmm: zap_gfn_range gfn=0x100 n=0x8
        vcpu0: end_fault                         # RETRY FIXED: ok 0, 4K r-x
        """,
    "mmu_invalidate_seq_is_beyond_two_to_the_31": """
        config seq_bias=1
        slot 0 gfn=0x0 pages=0x400 area=1
        host0: dontneed area=1 page=0x8 n=0x1
        host0: dontneed area=1 page=0x8 n=0x1
        host0: dontneed area=1 page=0x8 n=0x1
        host0: dontneed area=1 page=0x8 n=0x1
        vcpu0: write gfn=0x5                     # FIXED: ok, 4K rwx
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        host0: dontneed area=1 page=0x3 n=0x1
        vcpu0: end_fault                         # RETRY FIXED: ok, 4K rwx
        """,
    "an_invalidation_ended_meanwhile": """
        config host_errs=on
        slot 0 gfn=0x0 pages=0x400 area=1
        host0: invalidate area=1 page=0x3 n=0x1 start
        vcpu0: begin_fault gfn=0x5 access=write  # parked
        host0: invalidate area=1 page=0x3 n=0x1 end
        vcpu0: end_fault                         # RETRY FIXED: ok, 4K rwx
        """,
}
FRESH = {
    "nothing_happened": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        vcpu0: end_fault                         # FIXED: ok, 4K rwx
        """,
    "an_invalidation_behind_no_memslot": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        host0: dontneed area=2 page=0x0 n=0x200
        vcpu0: end_fault                         # FIXED: ok, 4K rwx
        """,
    "an_invalidation_of_others_goes_on": """
        # mmu_invalidate_range_start and _end leave the page out.
        config host_errs=on
        slot 0 gfn=0x0 pages=0x400 area=1
        host0: invalidate area=1 page=0x3 n=0x1 start
        vcpu0: begin_fault gfn=0x4 access=write  # parked
        vcpu0: end_fault                         # FIXED: ok, 4K rwx
        host0: invalidate area=1 page=0x3 n=0x1 end
        """,
    "its_age_was_asked": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        host0: test_age area=1 page=0x3
        vcpu0: end_fault                         # FIXED: ok, 4K rwx
        """,
    "its_accessed_bit_was_cleared": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        host0: age area=1 page=0x3 n=0x1 flush=on
        vcpu0: end_fault                         # FIXED: ok, 4K rwx
        """,
    "the_host_wrote_the_page": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        host0: host_write area=1 page=0x3
        vcpu0: end_fault                         # FIXED: ok, 4K rwx
        """,
    "a_dirty_log_was_asked_for": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        vmm: dirty_get slot=0                    # -2
        vcpu0: end_fault                         # FIXED: ok, 4K rwx
        """,
    "nx_huge_pages_stays_as_it_is": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        vmm: nx off
        vcpu0: end_fault                         # FIXED: ok, 4K rwx
        """,
    "another_vcpu_mapped_a_neighbour": """
        config vcpus=2
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        vcpu1: write gfn=0x40                    # FIXED: ok, 4K rwx
        vcpu0: end_fault                         # FIXED: ok, 4K rwx
        """,
}


@cases(STALE)
def test_is_page_fault_stale_says_retry(text: str) -> None:
    litmus(text)


@cases(FRESH)
def test_is_page_fault_stale_lets_it_map(text: str) -> None:
    litmus(text)
