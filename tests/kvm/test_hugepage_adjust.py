# SPDX-License-Identifier: GPL-2.0-only
"""kvm_mmu_hugepage_adjust() and disallowed_hugepage_adjust(): at which level a page is mapped."""

from __future__ import annotations

from .litmus import cases, litmus

CASES = {
    "host_pfn_mapping_level_of_4k": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
        """,
    "host_pfn_mapping_level_of_2m": """
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: read gfn=0x203   # FIXED: ok 0, 2M r-x
        """,
    "host_pfn_mapping_level_of_1g": """
        area 2 hugetlb1g
        slot 0 gfn=0x0 pages=0x40000 area=2
        vcpu0: read gfn=0x203   # FIXED: ok 0, 1G r-x
        """,
    "kvm_mmu_max_mapping_level_of_the_module": """
        config max_level=2M
        area 2 hugetlb1g
        slot 0 gfn=0x0 pages=0x40000 area=2
        vcpu0: read gfn=0x203   # FIXED: ok 0, 2M r-x
        """,
    "kvm_mmu_max_mapping_level_of_4k_only": """
        config max_level=4K
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
        """,
    "disallow_lpage_where_gfn_and_hva_are_not_aligned_alike": """
        slot 0 gfn=0x1 pages=0x400 area=2
        vcpu0: read gfn=0x4     # FIXED: ok 0, 4K r-x
        """,
    "disallow_lpage_at_the_end_of_a_slot": """
        slot 0 gfn=0x0 pages=0x300 area=2
        vcpu0: read gfn=0x3     # FIXED: ok 0, 2M r-x
        vcpu0: read gfn=0x203   # FIXED: ok 0, 4K r-x
        """,
    "disallow_lpage_at_the_start_of_a_slot": """
        slot 0 gfn=0x100 pages=0x300 area=2 page=0x100
        vcpu0: read gfn=0x103   # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x203   # FIXED: ok 0, 2M r-x
        """,
    "a_slot_that_logs_dirty_pages": """
        slot 0 gfn=0x0 pages=0x400 area=2 flags=dirty
        vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
        """,
    "huge_page_disallowed_for_a_fetch_under_nx": """
        config nx=on
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: exec gfn=0x3     # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x203   # FIXED: ok 0, 2M r--
        """,
    "disallowed_hugepage_adjust_keeps_the_table_of_an_nx_split": """
        config nx=on
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: exec gfn=0x3     # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x4     # FIXED: ok 0, 4K r-x
        vcpu0: exec gfn=0x3     # ok 0, 4K r-x
        """,
    "disallowed_hugepage_adjust_goes_down_one_level": """
        config nx=on
        area 2 hugetlb1g
        slot 0 gfn=0x0 pages=0x40000 area=2
        vcpu0: exec gfn=0x3     # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x203   # FIXED: ok 0, 2M r--
        vcpu0: read gfn=0x4     # FIXED: ok 0, 4K r-x
        """,
}
NONPAGING = """
    # A guest without paging under shadow paging: at most 2M, in nonpaging_page_fault().
    config paging=nonpaging
    area 2 hugetlb1g
    slot 0 gfn=0x0 pages=0x40000 area=2
    vcpu0: write gfn=0x203  # FIXED: ok, 2M rwx | ok
    """


@cases(CASES)
def test_kvm_mmu_hugepage_adjust(text: str) -> None:
    litmus(text)


def test_nonpaging_page_fault_maps_2m_at_most() -> None:
    litmus(NONPAGING, ("legacy", "spec"))
