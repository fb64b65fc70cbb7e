# SPDX-License-Identifier: GPL-2.0-only
"""x86 page tables as the hardware has them: x86 (and NPT) entries, EPT entries, error codes.

What the CPU does is the same for every version of the kernel, so whoever needs these takes them
from here.
"""

from __future__ import annotations

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
SPTE_ENT_PER_PAGE = 512

MAXPHYADDR = 46
"""Physical address bits of the CPU, host's and guest's, unless a program says otherwise
(Config.maxphyaddr): CPUID 0x80000008, EAX 7..0.

KVM has one number for all that depends on it: kvm_get_shadow_phys_bits() (mmu.h) reads the CPUID
leaf into `shadow_phys_bits`, `kvm_host.maxphyaddr` in newer kernels, and
boot_cpu_data.x86_phys_bits is the same unless memory encryption takes bits away.
kvm_mmu_max_gfn(), and with it tdp_mmu_max_gfn_exclusive() and the largest memslot, ends there;
kvm_mmu_reset_all_pte_masks() may take bit 51 for MMIO SPTEs if it is above; the CPU, in turn,
refuses a present entry with any bit of `rsvd_phys_bits()`.  A model of the CPU with more bits than
KVM was told of would miss entries that real hardware refuses.

46 is what a server with four-level EPT has.  Such a CPU may have X86_BUG_L1TF, in which case KVM
moves the gfn of an MMIO SPTE; this one does not have the bug.
"""
MOST_MAXPHYADDR = 52
"""An entry has room for so many."""
FOUR_LEVEL_BITS = 48
"""Address bits that four levels of tables map."""


def rsvd_bits(first: int, last: int) -> int:
    """A mask of the bits first..last, which are below 64."""
    return (2 << last) - (1 << first) if first <= last else 0


PT_PRESENT_MASK = 1 << 0
PT_WRITABLE_MASK = 1 << 1
PT_USER_MASK = 1 << 2
PT_ACCESSED_MASK = 1 << 5
PT_DIRTY_MASK = 1 << 6
PT_PAGE_SIZE_MASK = 1 << 7
"""A huge leaf, above the 4K level; EPT entries have it at the same place."""
PT64_NX_MASK = 1 << 63

VMX_EPT_READABLE_MASK = 1 << 0
VMX_EPT_WRITABLE_MASK = 1 << 1
VMX_EPT_EXECUTABLE_MASK = 1 << 2
VMX_EPT_RWX_MASK = VMX_EPT_READABLE_MASK | VMX_EPT_WRITABLE_MASK | VMX_EPT_EXECUTABLE_MASK
VMX_EPT_ACCESS_BIT = 1 << 8
VMX_EPT_DIRTY_BIT = 1 << 9

PHYS_ADDR_MASK = rsvd_bits(PAGE_SHIFT, MAXPHYADDR - 1)
"""The address in an entry, as a CPU with MAXPHYADDR reads it."""
ENTRY_ADDR_MASK = rsvd_bits(PAGE_SHIFT, MOST_MAXPHYADDR - 1)
"""The address in an entry whose reserved bits are 0, whatever MAXPHYADDR."""


def rsvd_phys_bits(maxphyaddr: int) -> int:
    """Bits of a present entry that must be 0: EPT misconfiguration, or PFERR_RSVD."""
    return rsvd_bits(maxphyaddr, MOST_MAXPHYADDR - 1)


RSVD_PHYS_BITS_MASK = rsvd_phys_bits(MAXPHYADDR)
"""Those of a CPU with MAXPHYADDR."""

PFERR_PRESENT_MASK = 1 << 0
PFERR_WRITE_MASK = 1 << 1
PFERR_USER_MASK = 1 << 2
PFERR_RSVD_MASK = 1 << 3
PFERR_FETCH_MASK = 1 << 4
