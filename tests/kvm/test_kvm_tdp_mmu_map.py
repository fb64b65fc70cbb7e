# SPDX-License-Identifier: GPL-2.0-only
"""kvm_tdp_mmu_map(), tdp_mmu_map_handle_target_level(), and direct_map() of the legacy MMU."""

from __future__ import annotations

import pytest

from .litmus import cases, litmus, models

CASES = {
    "an_absent_page": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x3     # ok 0, 4K r-x
        """,
    "tdp_mmu_map_handle_target_level_of_a_page_that_is_mapped_meanwhile": """
        config vcpus=2
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: begin_fault gfn=0x3 access=read   # parked
        vcpu1: begin_fault gfn=0x3 access=read   # parked
        vcpu0: end_fault                         # FIXED: ok 0, 2M r-x
        vcpu1: end_fault                         # SPURIOUS: ok 0, 2M r-x
        """,
    "tdp_mmu_map_handle_target_level_of_a_write_without_dirty_bits": """
        config vcpus=2 ad=off
        slot 0 gfn=0x0 pages=0x8 area=1
        host0: host_write area=1 page=0x3
        vcpu0: begin_fault gfn=0x3 access=write  # parked
        vcpu1: begin_fault gfn=0x3 access=write  # parked
        vcpu0: end_fault                         # FIXED: ok, 4K rwx
        vcpu1: end_fault                         # SPURIOUS: ok, 4K rwx
        """,
    "a_table_takes_the_place_of_a_huge_page": """
        # tdp_mmu_split_huge_page(); the legacy MMU drops the huge page: drop_large_spte().
        config nx=on
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: read gfn=0x3     # FIXED: ok 0, 2M r--
        vcpu0: exec gfn=0x3     # FIXED: ok 0, 4K r-x | SPURIOUS: ok 0, 4K r-x
        vcpu0: read gfn=0x4     # FIXED: ok 0, 4K r-x | ok 0, 4K r-x
        """,
    "a_huge_page_takes_the_place_of_a_table": """
        slot 0 gfn=0x0 pages=0x400 area=0
        vcpu0: write gfn=0x3    # FIXED: ok, 2M rwx
        host0: thp_split area=0 page=0x0
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        host0: collapse area=0 page=0x0 n=0x200
        vcpu0: read gfn=0x3     # FIXED: ok 1, 2M rwx
        """,
    "direct_pte_prefetch_of_neighbours_that_the_host_has": """
        # Up to eight, aligned; the TDP MMU has no prefetch.
        slot 0 gfn=0x0 pages=0x400 area=1
        host0: host_write area=1 page=0x0
        host0: host_write area=1 page=0x1
        host0: host_write area=1 page=0x8
        vcpu0: read gfn=0x0     # FIXED: ok 1, 4K rwx
        vcpu0: read gfn=0x1     # ok 2, 4K rwx | FIXED: ok 2, 4K rwx
        vcpu0: read gfn=0x2     # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x8     # FIXED: ok 3, 4K rwx
        """,
    "direct_pte_prefetch_without_accessed_bits": """
        config ad=off
        slot 0 gfn=0x0 pages=0x400 area=1
        host0: host_write area=1 page=0x0
        host0: host_write area=1 page=0x1
        vcpu0: read gfn=0x0     # FIXED: ok 1, 4K rwx
        vcpu0: read gfn=0x1     # FIXED: ok 2, 4K rwx
        """,
    "direct_pte_prefetch_leaves_a_slot_that_logs_dirty_pages_alone": """
        slot 0 gfn=0x0 pages=0x400 area=1 flags=dirty
        host0: host_write area=1 page=0x0
        host0: host_write area=1 page=0x1
        vcpu0: read gfn=0x0     # FIXED: ok 1, 4K rwx
        vcpu0: read gfn=0x1     # FIXED: ok 2, 4K rwx
        """,
}
TABLES = {
    "4K": ("slot 0 gfn=0x0 pages=0x400 area=1", [1, 0, 0], 4),
    "2M": ("slot 0 gfn=0x0 pages=0x400 area=2", [0, 1, 0], 3),
    "1G": ("area 2 hugetlb1g\nslot 0 gfn=0x0 pages=0x40000 area=2", [0, 0, 1], 2),
}


@cases(CASES)
def test_kvm_tdp_mmu_map_and_direct_map(text: str) -> None:
    litmus(text)


@pytest.mark.parametrize(("memory", "leaves", "tables"), TABLES.values(), ids=TABLES)
def test_kvm_tdp_mmu_map_makes_the_tables_on_the_way(
    memory: str, leaves: list[int], tables: int
) -> None:
    """The TDP MMU does not count its root."""
    legacy, tdp = models(f"{memory}\nvcpu0: read gfn=0x3")
    assert (legacy.kvm.stat.pages, legacy.kvm.n_used_mmu_pages) == (leaves, tables)
    assert (tdp.kvm.stat.pages, tdp.kvm.tdp_mmu_pages) == (leaves, tables - 1)
