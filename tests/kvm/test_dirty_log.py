# SPDX-License-Identifier: GPL-2.0-only
"""kvm_get_dirty_log_protect(), kvm_mmu_slot_*(): what was written is logged, once."""

from __future__ import annotations

from .litmus import cases, litmus, models

LOG = {
    "kvm_get_dirty_log_protect": """
        slot 0 gfn=0x0 pages=0x400 area=1 flags=dirty
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x41   # FIXED: ok, 4K rwx
        vcpu0: read gfn=0x5     # FIXED: ok 0, 4K r-x
        vmm: dirty_get slot=0   # 0x3 0x41
        vmm: dirty_get slot=0   # clean
        vcpu0: write gfn=0x3    # fast FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
    "kvm_get_dirty_log_protect_with_pml": """
        # kvm_mmu_clear_dirty_pt_masked() clears D: no fault tells of the next write.
        config dirty_mode=pml
        slot 0 gfn=0x0 pages=0x400 area=1 flags=dirty
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        vmm: dirty_get slot=0   # clean
        vcpu0: write gfn=0x3    # ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
    "a_read_of_a_page_that_is_mapped_writable_is_logged": """
        slot 0 gfn=0x0 pages=0x400 area=1 flags=dirty
        host0: host_write area=1 page=0x3
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
    "a_write_by_the_host_is_not_logged": """
        slot 0 gfn=0x0 pages=0x400 area=1 flags=dirty
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        host0: host_write area=1 page=0x3
        vmm: dirty_get slot=0   # clean
        """,
    "manual_protect_keeps_the_log_until_it_is_cleared": """
        config manual_protect=on
        slot 0 gfn=0x0 pages=0x400 area=1 flags=dirty
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x41   # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x81   # FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3 0x41 0x81
        vmm: dirty_clear slot=0 first=0x40 n=0x40
        vmm: dirty_get slot=0   # 0x3 0x81
        vcpu0: write gfn=0x41   # fast FIXED: ok, 4K rwx
        vcpu0: write gfn=0x3    # ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3 0x41 0x81
        """,
    "kvm_clear_dirty_log_protect_of_a_wrong_range": """
        slot 0 gfn=0x0 pages=0x44 area=1 flags=dirty
        slot 1 gfn=0x400 pages=0x40 area=1 page=0x400
        vmm: dirty_clear slot=0 first=0x1 n=0x40   # -22
        vmm: dirty_clear slot=0 first=0x0 n=0x1    # -22
        vmm: dirty_clear slot=0 first=0x80 n=0x40  # -22
        vmm: dirty_clear slot=0 first=0x40 n=0x5   # -22
        vmm: dirty_clear slot=0 first=0x40 n=0x4
        vmm: dirty_clear slot=1 first=0x0 n=0x40   # -2
        vmm: dirty_clear slot=2 first=0x0 n=0x40   # -2
        vmm: dirty_get slot=1                      # -2
        """,
    "init_set": """
        # What is mapped stays writable: the log has everything anyway.
        config init_set=on
        slot 0 gfn=0x0 pages=0x4 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: memslot_flags slot=0 flags=dirty
        vmm: dirty_get slot=0   # 0x0 0x1 0x2 0x3
        vcpu0: write gfn=0x3    # ok, 4K rwx
        vmm: dirty_clear slot=0 first=0x0 n=0x4
        vmm: dirty_get slot=0   # clean
        vcpu0: write gfn=0x3    # fast FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
}
SLOT = {
    "kvm_mmu_slot_remove_write_access": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: memslot_flags slot=0 flags=dirty
        vcpu0: read gfn=0x3     # ok 1, 4K r-x
        vcpu0: write gfn=0x3    # fast FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
    "kvm_mmu_slot_remove_write_access_of_this_slot_only": """
        slot 0 gfn=0x0 pages=0x8 area=1
        slot 1 gfn=0x8 pages=0x8 area=1 page=0x100
        vcpu0: write gfn=0x7    # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x8    # FIXED: ok, 4K rwx
        vmm: memslot_flags slot=1 flags=dirty
        vcpu0: read gfn=0x7     # ok 1, 4K rwx
        vcpu0: read gfn=0x8     # ok 2, 4K r-x
        """,
    "kvm_mmu_slot_leaf_clear_dirty": """
        config dirty_mode=pml
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: memslot_flags slot=0 flags=dirty
        vcpu0: write gfn=0x3    # ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
    "kvm_mmu_slot_try_split_huge_pages": """
        # The TDP MMU's only; the legacy MMU's huge page is write-protected.
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: write gfn=0x3    # FIXED: ok, 2M rwx
        vmm: memslot_flags slot=0 flags=dirty
        vcpu0: read gfn=0x3     # ok 1, 2M r-x | ok 1, 4K r-x
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx | fast FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
    "kvm_mmu_slot_try_split_huge_pages_is_off": """
        config eager_split=off
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: write gfn=0x3    # FIXED: ok, 2M rwx
        vmm: memslot_flags slot=0 flags=dirty
        vcpu0: read gfn=0x3     # ok 1, 2M r-x
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
    "kvm_mmu_try_split_huge_pages_of_what_is_cleared": """
        # Page by page, when the log is cleared: init_set leaves the slot huge until then.
        config init_set=on
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: write gfn=0x3    # FIXED: ok, 2M rwx
        vmm: memslot_flags slot=0 flags=dirty
        vcpu0: write gfn=0x4    # ok, 2M rwx
        vmm: dirty_clear slot=0 first=0x0 n=0x40
        vcpu0: read gfn=0x3     # ok 1, 2M r-x | ok 1, 4K r-x
        """,
    "kvm_mmu_zap_collapsible_sptes": """
        slot 0 gfn=0x0 pages=0x400 area=2 flags=dirty
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: memslot_flags slot=0 flags=none
        vcpu0: read gfn=0x3     # FIXED: ok 1, 2M rwx
        """,
    "kvm_mmu_zap_collapsible_sptes_leaves_what_the_host_has_small": """
        slot 0 gfn=0x0 pages=0x400 area=1 flags=dirty
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: memslot_flags slot=0 flags=none
        vcpu0: read gfn=0x3     # ok 1, 4K rwx
        """,
}


@cases(LOG)
def test_dirty_log(text: str) -> None:
    litmus(text)


@cases(SLOT)
def test_kvm_mmu_slot_apply_flags(text: str) -> None:
    litmus(text)


def test_mark_page_dirty_in_slot_sets_one_bit() -> None:
    for side in models("slot 0 gfn=0x100 pages=0x400 area=1 flags=dirty\nvcpu0: write gfn=0x141"):
        assert side.kvm.memslots[0].id_hash[0].dirty_bitmap == {1: 2}
