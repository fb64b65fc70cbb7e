# SPDX-License-Identifier: GPL-2.0-only
"""fast_page_fault(): permissions are given back to a present SPTE, without mmu_lock."""

from __future__ import annotations

from .litmus import cases, litmus, models

FAST = {
    "a_page_that_the_dirty_log_write_protected": """
        slot 0 gfn=0x0 pages=0x8 area=1 flags=dirty
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        vcpu0: read gfn=0x3     # ok 1, 4K r-x
        vcpu0: write gfn=0x3    # fast FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
    "entries_of_amd": """
        config layout=npt
        slot 0 gfn=0x0 pages=0x8 area=1 flags=dirty
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        vcpu0: write gfn=0x3    # fast FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
    "an_access_tracked_page_is_read_then_written": """
        # restore_acc_track_spte() gives R and X back; W is another fault's.
        config ad=off
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        host0: age area=1 page=0x3 n=0x1 flush=on
        vcpu0: read gfn=0x3     # fast FIXED: ok 1, 4K r-x
        vcpu0: write gfn=0x3    # fast FIXED: ok, 4K rwx
        """,
    "an_access_tracked_page_is_written": """
        config ad=off
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        host0: age area=1 page=0x3 n=0x1 flush=on
        vcpu0: write gfn=0x3    # fast FIXED: ok, 4K rwx
        """,
    "of_l2_under_pml": """
        # PML does not log L2's gpas: its pages are write-protected.
        config dirty_mode=pml
        slot 0 gfn=0x0 pages=0x8 area=1 flags=dirty
        vcpu0: guest_mode on
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        vcpu0: write gfn=0x3    # fast FIXED: ok, 4K rwx
        """,
}
SLOW = {
    "an_absent_page": """
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
        """,
    "a_page_that_the_host_has_read_only": """
        # The zero page: the SPTE is not host-writable.
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: read gfn=0x3     # FIXED: ok 0, 4K r-x
        vcpu0: write gfn=0x3    # RETRY FIXED: ok, 4K rwx
        """,
    "a_huge_page_whose_slot_logs_dirty_pages": """
        config eager_split=off
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: write gfn=0x3    # FIXED: ok, 2M rwx
        vmm: memslot_flags slot=0 flags=dirty
        vcpu0: read gfn=0x3     # ok 1, 2M r-x
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: dirty_get slot=0   # 0x3
        """,
    "a_page_that_is_write_tracked": """
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: track_add gfn=0x3
        vcpu0: write gfn=0x3    # EMULATE: ok, 4K r-x
        """,
    "a_page_that_was_write_tracked": """
        # Tracking took the MMU-writable bit as well.
        slot 0 gfn=0x0 pages=0x8 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: track_add gfn=0x3
        vmm: track_remove gfn=0x3
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        """,
    "an_executable_page_of_the_nx_mitigation": """
        config nx=on
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: read gfn=0x3     # FIXED: ok 0, 2M r--
        vcpu0: exec gfn=0x3     # FIXED: ok 0, 4K r-x | SPURIOUS: ok 0, 4K r-x
        """,
}


@cases(FAST)
def test_fast_page_fault_fixes_it(text: str) -> None:
    litmus(text)


@cases(SLOW)
def test_fast_page_fault_leaves_it_to_mmu_lock(text: str) -> None:
    litmus(text)
    for side in models(text):
        assert [vcpu.stat.pf_fast for vcpu in side.kvm.vcpus] == [0]


@cases(FAST)
def test_fast_page_fault_counts_and_flushes_nothing(text: str) -> None:
    before = text.rpartition("vcpu0: write")[0]
    through = before + "vcpu0: write gfn=0x3\n"
    for early, late in zip(models(before), models(through), strict=True):
        (old,), (new,) = early.kvm.vcpus, late.kvm.vcpus
        assert new.stat.pf_fast == old.stat.pf_fast + 1
        flushes = [side.kvm.stat.remote_tlb_flush_requests for side in (early, late)]
        assert flushes[0] == flushes[1]
