# SPDX-License-Identifier: GPL-2.0-only
"""kvm_zap_gfn_range(), tdp_mmu_zap_leafs() and kvm_rmap_zap_gfn_range(): leaves go, tables stay."""

from __future__ import annotations

from .litmus import cases, litmus, models

CASES = {
    "of_one_page": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x2    # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x4    # FIXED: ok, 4K rwx
        vmm: zap_gfn_range gfn=0x3 n=0x1
        vcpu0: read gfn=0x2     # ok 1, 4K rwx
        vcpu0: read gfn=0x4     # ok 3, 4K rwx
        vcpu0: read gfn=0x3     # FIXED: ok 2, 4K rwx
        """,
    "of_part_of_a_huge_page": """
        slot 0 gfn=0x0 pages=0x400 area=2
        vcpu0: write gfn=0x3    # FIXED: ok, 2M rwx
        vcpu0: write gfn=0x203  # FIXED: ok, 2M rwx
        vmm: zap_gfn_range gfn=0x1ff n=0x1
        vcpu0: read gfn=0x3     # FIXED: ok 1, 2M rwx
        vcpu0: read gfn=0x203   # ok 2, 2M rwx
        """,
    "in_every_root": """
        slot 0 gfn=0x0 pages=0x400 area=1
        slot 0 as=1 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vcpu0: guest_mode on
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        vcpu0: guest_mode off
        vcpu0: smm on
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        vmm: zap_gfn_range gfn=0x3 n=0x1
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        vcpu0: smm off
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        vcpu0: guest_mode on
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        """,
    "over_two_memslots": """
        slot 0 gfn=0x0 pages=0x4 area=1
        slot 1 gfn=0x4 pages=0x4 area=1 page=0x40
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vcpu0: write gfn=0x4    # FIXED: ok, 4K rwx
        vmm: zap_gfn_range gfn=0x3 n=0x2
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        vcpu0: read gfn=0x4     # FIXED: ok 2, 4K rwx
        """,
    "of_what_is_not_mapped": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: zap_gfn_range gfn=0x4 n=0x8
        vcpu0: read gfn=0x3     # ok 1, 4K rwx
        """,
}
MAPPED = """
    slot 0 gfn=0x0 pages=0x400 area=1
    vcpu0: write gfn=0x3
    """


@cases(CASES)
def test_kvm_zap_gfn_range(text: str) -> None:
    litmus(text)


def test_tdp_mmu_zap_leafs_keeps_tables() -> None:
    zapped = f"{MAPPED}vmm: zap_gfn_range gfn=0x0 n=0x400\n"
    for before, after in zip(models(MAPPED), models(zapped), strict=True):
        assert (sum(before.kvm.stat.pages), sum(after.kvm.stat.pages)) == (1, 0)
        assert before.kvm.tdp_mmu_pages == after.kvm.tdp_mmu_pages
        assert before.kvm.n_used_mmu_pages == after.kvm.n_used_mmu_pages


def test_kvm_zap_gfn_range_flushes_only_what_was_mapped() -> None:
    for n, flushes in ((0x1, 0), (0x8, 1)):
        for side in models(f"{MAPPED}vmm: zap_gfn_range gfn=0x0 n={n}\n"):
            assert side.kvm.stat.remote_tlb_flush_requests == flushes
