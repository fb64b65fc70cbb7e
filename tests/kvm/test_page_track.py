# SPDX-License-Identifier: GPL-2.0-only
"""page_fault_handle_page_track() and page_track.c: writes to a tracked page are emulated."""

from __future__ import annotations

from .litmus import cases, litmus

CASES = {
    "kvm_slot_page_track_add_page_takes_write_access": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3       # FIXED: ok, 4K rwx
        vmm: track_add gfn=0x3     # 1
        vcpu0: read gfn=0x3        # ok 1, 4K r-x
        vcpu0: write gfn=0x3       # EMULATE: ok, 4K r-x
        vcpu0: read gfn=0x3        # ok 4, 4K r-x
        """,
    "page_fault_handle_page_track_of_an_absent_page": """
        # Only a present SPTE's fault is told by it: this one is mapped read-only first.
        slot 0 gfn=0x0 pages=0x400 area=1
        vmm: track_add gfn=0x3     # 1
        vcpu0: write gfn=0x3       # EMULATE: ok, 4K r-x
        vcpu0: write gfn=0x4       # FIXED: ok, 4K rwx
        """,
    "users_are_counted": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vmm: track_add gfn=0x3     # 1
        vmm: track_add gfn=0x3     # 1
        vmm: track_remove gfn=0x3  # 1
        vcpu0: write gfn=0x3       # EMULATE: ok, 4K r-x
        vmm: track_remove gfn=0x3  # 1
        vcpu0: write gfn=0x3       # FIXED: ok, 4K rwx
        vmm: track_remove gfn=0x3
        vmm: track_add gfn=0x500
        """,
    "kvm_mmu_gfn_disallow_lpage_and_allow_lpage": """
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: write gfn=0x3       # FIXED: ok, 2M rwx
        vmm: track_add gfn=0x3     # 1
        vcpu0: read gfn=0x3        # ok 1, 2M r-x
        vcpu0: write gfn=0x3       # EMULATE: ok, 2M r-x
        vcpu0: write gfn=0x4       # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x203     # FIXED: ok, 2M rwx
        vmm: track_remove gfn=0x3  # 1
        vcpu0: write gfn=0x3       # FIXED: ok, 2M rwx
        """,
    "an_emulated_write_is_dirty": """
        slot 0 gfn=0x0 pages=0x8 area=1 flags=dirty
        vmm: track_add gfn=0x3     # 1
        vcpu0: write gfn=0x3       # EMULATE: ok, 4K r-x
        vmm: dirty_get slot=0      # 0x3
        vcpu0: write gfn=0x3       # EMULATE: ok, 4K r-x
        vmm: dirty_get slot=0      # 0x3
        """,
    "kvm_slot_page_track_is_active_in_the_other_address_space": """
        slot 0 gfn=0x0 pages=0x8 area=1
        slot 0 as=1 gfn=0x0 pages=0x8 area=1
        vmm: track_add as=1 gfn=0x3  # 1
        vcpu0: write gfn=0x3       # EMULATE: ok, 4K r-x
        vcpu0: write gfn=0x4       # FIXED: ok, 4K rwx
        vcpu0: smm on
        vcpu0: write gfn=0x3       # EMULATE: ok, 4K r-x
        """,
}


@cases(CASES)
def test_page_track(text: str) -> None:
    litmus(text)
