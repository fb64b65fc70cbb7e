# SPDX-License-Identifier: GPL-2.0-only
"""mmu_page.py: shadow pages of the legacy MMU, found again, and zapped where there are too many."""

from __future__ import annotations

from .litmus import cases, litmus, models

CASES = {
    "make_mmu_pages_available_zaps_the_oldest": """
        # The limit is the legacy MMU's alone.
        config mmu_pages=8
        slot 0 gfn=0x0 pages=0x80000 area=1
        vcpu0: read gfn=0x0      # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x200    # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x400    # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x600    # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x600    # ok 0, 4K r-x
        vcpu0: read gfn=0x0      # FIXED: ok 0, 4K r-x | ok 0, 4K r-x
        """,
    "kvm_mmu_change_mmu_pages": """
        slot 0 gfn=0x0 pages=0x80000 area=1
        vcpu0: read gfn=0x0      # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x200    # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x400    # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x600    # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0x800    # FIXED: ok 0, 4K r-x
        vcpu0: read gfn=0xa00    # FIXED: ok 0, 4K r-x
        vmm: mmu_pages n=7       # -22
        vcpu0: read gfn=0x0      # ok 0, 4K r-x
        vmm: mmu_pages n=8
        vcpu0: read gfn=0x0      # FIXED: ok 0, 4K r-x | ok 0, 4K r-x
        """,
    "kvm_mmu_get_shadow_page_of_another_role": """
        # L2's tables are others than L1's, gfn by gfn.
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3     # FIXED: ok, 4K rwx
        vcpu0: guest_mode on
        vcpu0: read gfn=0x3      # FIXED: ok 1, 4K rwx
        """,
    "kvm_mmu_get_shadow_page_of_two_vcpus": """
        config vcpus=2
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3     # FIXED: ok, 4K rwx
        vcpu1: read gfn=0x3      # ok 1, 4K rwx
        """,
}
FIVE = """
    slot 0 gfn=0x0 pages=0x80000 area=1
    vcpu0: read gfn=0x0
    vcpu0: read gfn=0x200
    vcpu0: read gfn=0x400
    vcpu0: read gfn=0x600
    vcpu0: read gfn=0x800
    """


@cases(CASES)
def test_mmu_page(text: str) -> None:
    litmus(text)


def test_kvm_mmu_zap_oldest_mmu_pages_never_zaps_a_root_in_use() -> None:
    legacy, tdp = models(f"{FIVE}vmm: mmu_pages n=8\nvmm: mmu_pages n=8\n")
    assert legacy.kvm.n_max_mmu_pages >= legacy.kvm.n_used_mmu_pages > 0
    assert any(sp.root_count for sp in legacy.kvm.active_mmu_pages)
    assert legacy.kvm.stat.mmu_recycled == legacy.kvm.stat.mmu_shadow_zapped
    assert tdp.kvm.stat.mmu_recycled == 0
    assert tdp.kvm.stat.pages == [5, 0, 0]


def test_kvm_mmu_prepare_zap_page_takes_children_and_rmaps_along() -> None:
    """The upper tables go as well: what they had mapped is in no rmap any more."""
    legacy, _ = models(f"config mmu_pages=8\n{FIVE}".replace("    ", ""))
    slot = legacy.kvm.memslots[0].id_hash[0]
    assert slot.arch.rmap is not None
    mapped = sum(len(sptes) for sptes in slot.arch.rmap[0].values())
    assert mapped == legacy.kvm.stat.pages[0] == 1
