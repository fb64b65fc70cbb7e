# SPDX-License-Identifier: GPL-2.0-only
"""kvm_mmu_zap_all_fast(): every root becomes obsolete, and what it mapped goes."""

from __future__ import annotations

import pytest

from .litmus import cases, litmus, models

CASES = {
    "a_switch_of_nx_huge_pages": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: nx on
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        """,
    "no_switch_of_nx_huge_pages": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: nx off
        vcpu0: read gfn=0x3     # ok 1, 4K rwx
        """,
    "kvm_arch_flush_shadow_memslot_of_another_slot": """
        # The deletion of one memslot zaps the others, too.
        slot 0 gfn=0x0 pages=0x8 area=1
        slot 1 gfn=0x8 pages=0x8 area=1 page=0x100
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vmm: memslot_delete slot=1
        vcpu0: read gfn=0x3     # FIXED: ok 1, 4K rwx
        """,
    "every_vcpu_gets_another_root": """
        config vcpus=2
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vcpu1: write gfn=0x4    # FIXED: ok, 4K rwx
        vmm: nx on
        vcpu0: read gfn=0x4     # FIXED: ok 2, 4K rwx
        vcpu1: read gfn=0x4     # ok 2, 4K rwx
        """,
    "cached_roots_too": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: guest_mode on
        vcpu0: write gfn=0x3    # FIXED: ok, 4K rwx
        vcpu0: guest_mode off
        vcpu0: read gfn=0x3     # FIXED: ok 2, 4K rwx
        vmm: nx on
        vcpu0: guest_mode on
        vcpu0: read gfn=0x3     # FIXED: ok 2, 4K rwx
        """,
}
WRITTEN = """
    slot 0 gfn=0x0 pages=0x400 area=1
    vcpu0: write gfn=0x3
    """


@cases(CASES)
def test_kvm_mmu_zap_all_fast(text: str) -> None:
    litmus(text)


def test_kvm_zap_obsolete_pages_and_zap_invalidated_roots_leave_no_table() -> None:
    """Only the root stays, which the vCPU holds until it enters again."""
    legacy, tdp = models(f"{WRITTEN}vmm: nx on\n")
    assert (legacy.kvm.stat.pages, legacy.kvm.n_used_mmu_pages) == ([0, 0, 0], 1)
    assert (tdp.kvm.stat.pages, tdp.kvm.tdp_mmu_pages) == ([0, 0, 0], 0)
    (root,) = tdp.kvm.tdp_mmu_roots
    assert root.role.invalid


@pytest.mark.parametrize("switches", [1, 2])
def test_mmu_valid_gen_is_one_bit(switches: int) -> None:
    for side in models(WRITTEN + "".join(f"vmm: nx {('on', 'off')[n]}\n" for n in range(switches))):
        assert side.kvm.mmu_valid_gen == switches % 2


def test_kvm_mmu_free_obsolete_roots_lets_the_old_root_go() -> None:
    for side in models(f"{WRITTEN}vmm: nx on\nvcpu0: read gfn=0x3\n"):
        assert [root.role.invalid for root in side.kvm.tdp_mmu_roots] in ([], [False])
        assert side.kvm.n_used_mmu_pages in (0, 4)
        assert side.kvm.vcpus[0].requests == 0
