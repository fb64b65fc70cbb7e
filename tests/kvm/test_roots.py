# SPDX-License-Identifier: GPL-2.0-only
"""mmu_roots.py: which root a vCPU runs on; roots are cached, shared, and dropped when obsolete."""

from __future__ import annotations

import pytest

from difffuzz.kvm.kvm_host import INVALID_PAGE
from difffuzz.kvm.mmu_roots import kvm_mmu_get_tdp_level

from .litmus import cases, litmus, models
from .vm import model

CASES = {
    "kvm_mmu_new_pgd_finds_a_cached_root": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3     # FIXED: ok, 4K rwx
        vcpu0: guest_mode on
        vcpu0: read gfn=0x3      # FIXED: ok 1, 4K rwx
        vcpu0: guest_mode off
        vcpu0: read gfn=0x3      # ok 1, 4K rwx
        vcpu0: guest_mode on
        vcpu0: read gfn=0x3      # ok 1, 4K rwx
        """,
    "kvm_mmu_reset_context_of_smm": """
        slot 0 gfn=0x0 pages=0x400 area=1
        slot 0 as=1 gfn=0x0 pages=0x8 area=1 page=0x3
        vcpu0: write gfn=0x3     # FIXED: ok, 4K rwx
        vcpu0: smm on
        vcpu0: read gfn=0x0      # FIXED: ok 1, 4K rwx
        vcpu0: smm off
        vcpu0: read gfn=0x3      # ok 1, 4K rwx
        """,
    "kvm_tdp_mmu_get_vcpu_root_hpa_shares_roots": """
        config vcpus=2
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3     # FIXED: ok, 4K rwx
        vcpu1: read gfn=0x3      # ok 1, 4K rwx
        vcpu0: reload
        vcpu0: read gfn=0x3      # ok 1, 4K rwx
        """,
    "a_root_without_a_user_stays": """
        slot 0 gfn=0x0 pages=0x400 area=1
        vcpu0: write gfn=0x3     # FIXED: ok, 4K rwx
        vcpu0: reload
        vcpu0: read gfn=0x3      # ok 1, 4K rwx
        """,
}


@cases(CASES)
def test_roots(text: str) -> None:
    litmus(text)


def test_cached_root_find_and_keep_current_keeps_the_other_root() -> None:
    """kvm_mmu_new_pgd() swaps them: neither is freed and made anew."""
    text = "slot 0 gfn=0x0 pages=0x8 area=1\nvcpu0: read gfn=0x3\nvcpu0: guest_mode on\n"
    for there, back in zip(
        models(f"{text}vcpu0: read gfn=0x3"),
        models(f"{text}vcpu0: read gfn=0x3\nvcpu0: guest_mode off\nvcpu0: read gfn=0x3"),
        strict=True,
    ):
        (in_l2,), (in_l1,) = there.kvm.vcpus, back.kvm.vcpus
        l2_root, l1_root = in_l2.mmu.root.hpa, in_l1.mmu.root.hpa
        assert l1_root != l2_root
        assert [root.hpa for root in in_l2.mmu.prev_roots] == [l1_root, INVALID_PAGE, INVALID_PAGE]
        assert [root.hpa for root in in_l1.mmu.prev_roots] == [l2_root, INVALID_PAGE, INVALID_PAGE]


def test_roots_are_one_for_each_role() -> None:
    """L1, L2, SMM: three of the TDP MMU, whatever the number of vCPUs."""
    text = """
    config vcpus=2
    slot 0 gfn=0x0 pages=0x8 area=1
    slot 0 as=1 gfn=0x0 pages=0x8 area=1
    vcpu0: read gfn=0x3
    vcpu1: read gfn=0x3
    vcpu0: guest_mode on
    vcpu0: read gfn=0x3
    vcpu1: smm on
    vcpu1: read gfn=0x3
    """
    legacy, tdp = models(text)
    assert len(tdp.kvm.tdp_mmu_roots) == 3
    assert sum(sp.role.level == 4 for sp in legacy.kvm.active_mmu_pages) == 3


@pytest.mark.parametrize(
    ("config", "level"),
    [
        ("root_level=4 maxphyaddr=48", 4),
        ("root_level=5 maxphyaddr=49", 5),
        ("layout=npt root_level=5 maxphyaddr=46", 5),
    ],
)
def test_the_root_has_the_levels_that_addresses_need(config: str, level: int) -> None:
    side = model(config)
    assert kvm_mmu_get_tdp_level(side.kvm.vcpus[0]) == level


def test_five_levels_are_used_only_if_addresses_need_them() -> None:
    """kvm_mmu_get_tdp_level(): a CPU could have five and no use for them."""
    side = model("root_level=5 maxphyaddr=49")
    side.kvm.vcpus[0].maxphyaddr = 48
    assert kvm_mmu_get_tdp_level(side.kvm.vcpus[0]) == 4
