# SPDX-License-Identifier: GPL-2.0-only
"""kvm_recover_nx_huge_pages(): tables that the NX mitigation made are zapped after a while."""

from __future__ import annotations

from .litmus import cases, litmus, models

CASES = {
    "huge_pages_come_back": """
        config nx=on
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: exec gfn=0x3     # FIXED: ok 0, 4K r-x
        vcpu0: exec gfn=0x203   # FIXED: ok 0, 4K r-x
        worker: nx_recover
        vcpu0: read gfn=0x3     # FIXED: ok 0, 2M r--
        vcpu0: read gfn=0x203   # FIXED: ok 0, 2M r--
        """,
    "one_in_two_the_oldest_first": """
        config nx=on recovery_ratio=2
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: exec gfn=0x203   # FIXED: ok 0, 4K r-x
        vcpu0: exec gfn=0x3     # FIXED: ok 0, 4K r-x
        worker: nx_recover
        vcpu0: read gfn=0x203   # FIXED: ok 0, 2M r--
        vcpu0: read gfn=0x3     # ok 0, 4K r-x
        """,
    "one_in_sixty_is_one_at_least": """
        config nx=on recovery_ratio=60
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: exec gfn=0x3     # FIXED: ok 0, 4K r-x
        worker: nx_recover
        vcpu0: read gfn=0x3     # FIXED: ok 0, 2M r--
        """,
    "a_table_whose_host_page_is_small_is_not_counted": """
        # req_level is 4K: the mitigation disallowed nothing.
        config nx=on
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: exec gfn=0x3     # FIXED: ok 0, 4K r-x
        worker: nx_recover
        vcpu0: exec gfn=0x3     # ok 0, 4K r-x
        """,
    "a_slot_that_logs_dirty_pages_is_left_alone": """
        config nx=on
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: exec gfn=0x3     # FIXED: ok 0, 4K r-x
        vmm: memslot_flags slot=0 flags=dirty
        worker: nx_recover
        vcpu0: exec gfn=0x3     # ok 0, 4K r-x
        """,
}
SPLIT = """
    config nx=on recovery_ratio=2
    slot 0 gfn=0x0 pages=0x400 area=2
    vcpu0: exec gfn=0x3
    vcpu0: exec gfn=0x203
    """


@cases(CASES)
def test_kvm_recover_nx_huge_pages(text: str) -> None:
    litmus(text)


def test_account_nx_huge_page_and_unaccount() -> None:
    """nx_lpage_splits and possible_nx_huge_pages count the same tables."""
    recover = "    worker: nx_recover\n    "
    for text, splits in ((SPLIT, 2), (SPLIT + recover, 1), (SPLIT + 2 * recover, 0)):
        for side in models(text):
            assert side.kvm.stat.nx_lpage_splits == splits
            assert len(side.kvm.possible_nx_huge_pages) == splits
