# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/spte.h: the bits of an SPTE that more than KVM itself has to know.

Readers above (sides, oracles, engines) look at SPTEs through `Kvm.mem` and `Kvm.masks` of
sides/kvm_state.py. What depends on the VM or on the layout, EPT or x86, is in the masks of each
side, and so are the generation of an MMIO SPTE and the kind of A/D tracking (the numbers of 6.1 to
6.12 are below, for the model). Which number a frozen SPTE is, nobody above needs to know: see
is_frozen_spte(). What else is here holds for every entry that `Kvm.mem` shows, of every version:
the kernels of today agree on it, except that since 6.10 an absent entry has bit 63 set in x86
tables, which harness/native/kernel/view.c takes off. difffuzz.kvm takes these from its spte.py,
where the patch of a version may put another number; then the number has to become one of `Masks`,
and its readers ask the side for it. tests/variants/test_kernels.py tells if a version departs.
"""

from __future__ import annotations

from difffuzz.facts.paging import PAGE_SHIFT, VMX_EPT_RWX_MASK, rsvd_bits

SPTE_MMU_PRESENT_MASK = 1 << 11
"""KVM's MMU counts the entry as present; the hardware may not."""
SPTE_BASE_ADDR_MASK = rsvd_bits(PAGE_SHIFT, 51)
"""The address in an entry, as KVM keeps it: as wide as the format allows, whatever MAXPHYADDR."""
REMOVED_SPTE = 0x5A0
"""The frozen SPTE of 6.1 to 6.12: not present, and no thread but its owner may change it."""

SPTE_TDP_AD_MASK = 3 << 52
SPTE_TDP_AD_DISABLED_MASK = 1 << 52
"""An EPT SPTE whose accessed and dirty bits the CPU does not set."""

MMIO_SPTE_GEN_LOW_SHIFT = 3
MMIO_SPTE_GEN_LOW_MASK = rsvd_bits(3, 10)
MMIO_SPTE_GEN_HIGH_SHIFT = 52 - 8
MMIO_SPTE_GEN_HIGH_MASK = rsvd_bits(52, 62)
MMIO_SPTE_GEN_MASK = rsvd_bits(0, 18)
"""What an MMIO SPTE holds of the memslot generation: 8 bits low, 11 bits high."""


def is_frozen_spte(spte: int) -> bool:
    """True for the frozen SPTE of any version: neither absent nor present, and without an access
    bit, of which every MMIO SPTE has one (kvm_mmu_set_mmio_spte_mask() sees to that)."""
    return spte != 0 and not spte & (SPTE_MMU_PRESENT_MASK | VMX_EPT_RWX_MASK)
