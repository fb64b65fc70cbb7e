# SPDX-License-Identifier: GPL-2.0-only
"""The shadow_*_mask globals of arch/x86/kvm/mmu/spte.c: what the bits of a VM's SPTEs mean.

They stand below kvm_host.py, because a `Kvm` has its own.
"""

from __future__ import annotations

from difffuzz.facts.paging import (
    MOST_MAXPHYADDR,
    PAGE_SHIFT,
    PT64_NX_MASK,
    PT_ACCESSED_MASK,
    PT_DIRTY_MASK,
    PT_PRESENT_MASK,
    PT_USER_MASK,
    PT_WRITABLE_MASK,
    VMX_EPT_ACCESS_BIT,
    VMX_EPT_DIRTY_BIT,
    VMX_EPT_EXECUTABLE_MASK,
    VMX_EPT_READABLE_MASK,
    VMX_EPT_RWX_MASK,
    rsvd_bits,
)
from difffuzz.facts.spte import (
    MMIO_SPTE_GEN_HIGH_MASK,
    MMIO_SPTE_GEN_LOW_MASK,
    MMIO_SPTE_GEN_MASK,
    SPTE_TDP_AD_DISABLED_MASK,
    SPTE_TDP_AD_MASK,
)

VMX_EPT_IPAT_BIT = 1 << 6
VMX_EPT_MT_WB = 6 << 3
VMX_EPT_MISCONFIG_WX_VALUE = 6

ACC_EXEC_MASK = 1
ACC_WRITE_MASK = PT_WRITABLE_MASK
ACC_USER_MASK = PT_USER_MASK
ACC_ALL = ACC_EXEC_MASK | ACC_WRITE_MASK | ACC_USER_MASK

DEFAULT_SPTE_HOST_WRITABLE = 1 << 9
DEFAULT_SPTE_MMU_WRITABLE = 1 << 10
EPT_SPTE_HOST_WRITABLE = 1 << 57
EPT_SPTE_MMU_WRITABLE = 1 << 58


class SpteMasks:
    """The shadow_*_mask globals of one KVM: kvm_mmu_reset_all_pte_masks(), kvm_mmu_set_ept_masks().

    `ept`: EPT layout, else the x86 layout that NPT and nonpaging shadow pages use.  `ad`: the CPU
    has accessed and dirty bits (EPT only; x86 page tables always have).  Of x86 tables an MMIO SPTE
    has a reserved address bit, of which a CPU with `maxphyaddr` 52 has none.
    """

    mmio_gen_low_mask = MMIO_SPTE_GEN_LOW_MASK
    mmio_gen_high_mask = MMIO_SPTE_GEN_HIGH_MASK
    mmio_gen_mask = MMIO_SPTE_GEN_MASK
    tdp_ad_mask = SPTE_TDP_AD_MASK
    tdp_ad_disabled = SPTE_TDP_AD_DISABLED_MASK

    __slots__ = (
        "enable_mmio_caching",
        "shadow_acc_track_mask",
        "shadow_accessed_mask",
        "shadow_dirty_mask",
        "shadow_host_writable_mask",
        "shadow_memtype_mask",
        "shadow_mmio_access_mask",
        "shadow_mmio_mask",
        "shadow_mmio_value",
        "shadow_mmu_writable_mask",
        "shadow_nonpresent_or_rsvd_lower_gfn_mask",
        "shadow_nx_mask",
        "shadow_present_mask",
        "shadow_user_mask",
        "shadow_x_mask",
    )

    def __init__(self, ept: bool, ad: bool, mmio_caching: bool, maxphyaddr: int) -> None:
        if ept:
            self.shadow_user_mask = VMX_EPT_READABLE_MASK
            self.shadow_accessed_mask = VMX_EPT_ACCESS_BIT if ad else 0
            self.shadow_dirty_mask = VMX_EPT_DIRTY_BIT if ad else 0
            self.shadow_nx_mask = 0
            self.shadow_x_mask = VMX_EPT_EXECUTABLE_MASK
            self.shadow_present_mask = 0
            self.shadow_memtype_mask = VMX_EPT_MT_WB | VMX_EPT_IPAT_BIT
            self.shadow_acc_track_mask = VMX_EPT_RWX_MASK
            self.shadow_host_writable_mask = EPT_SPTE_HOST_WRITABLE
            self.shadow_mmu_writable_mask = EPT_SPTE_MMU_WRITABLE
            self.shadow_mmio_value = VMX_EPT_MISCONFIG_WX_VALUE
            self.shadow_mmio_mask = VMX_EPT_RWX_MASK
            self.shadow_mmio_access_mask = 0
        else:
            self.shadow_user_mask = PT_USER_MASK
            self.shadow_accessed_mask = PT_ACCESSED_MASK
            self.shadow_dirty_mask = PT_DIRTY_MASK
            self.shadow_nx_mask = PT64_NX_MASK
            self.shadow_x_mask = 0
            self.shadow_present_mask = PT_PRESENT_MASK
            self.shadow_memtype_mask = 0
            self.shadow_acc_track_mask = 0
            self.shadow_host_writable_mask = DEFAULT_SPTE_HOST_WRITABLE
            self.shadow_mmu_writable_mask = DEFAULT_SPTE_MMU_WRITABLE
            reserved = maxphyaddr < MOST_MAXPHYADDR
            self.shadow_mmio_value = 1 << 51 | PT_PRESENT_MASK if reserved else 0
            self.shadow_mmio_mask = self.shadow_mmio_value
            self.shadow_mmio_access_mask = ACC_WRITE_MASK | ACC_USER_MASK
        # Left out: L1TF's mask. This CPU does not have the bug: an MMIO SPTE has its gfn whole.
        self.shadow_nonpresent_or_rsvd_lower_gfn_mask = rsvd_bits(PAGE_SHIFT, maxphyaddr - 1)
        # kvm_mmu_set_mmio_spte_mask()
        self.enable_mmio_caching = mmio_caching and self.shadow_mmio_value != 0
        if not mmio_caching:
            self.shadow_mmio_value = 0
