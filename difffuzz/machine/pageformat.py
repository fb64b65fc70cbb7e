# SPDX-License-Identifier: GPL-2.0-only
"""The page-table formats of the guest's hardware: EPT, and x86 tables as NPT and PAE use them."""

from __future__ import annotations

from typing import ClassVar

from difffuzz.facts.paging import (
    MAXPHYADDR,
    PFERR_FETCH_MASK,
    PFERR_PRESENT_MASK,
    PFERR_RSVD_MASK,
    PFERR_USER_MASK,
    PFERR_WRITE_MASK,
    PT64_NX_MASK,
    PT_ACCESSED_MASK,
    PT_DIRTY_MASK,
    PT_PAGE_SIZE_MASK,
    PT_PRESENT_MASK,
    PT_USER_MASK,
    PT_WRITABLE_MASK,
    VMX_EPT_ACCESS_BIT,
    VMX_EPT_DIRTY_BIT,
    VMX_EPT_RWX_MASK,
    rsvd_phys_bits,
)

READ, WRITE, EXEC = 0, 1, 2
"""Kinds of access."""

PERM_R, PERM_W, PERM_X = 1, 2, 4
PERM_OF_ACCESS = (PERM_R, PERM_W, PERM_X)


class PageFormat:
    """What the bits of an entry mean, and the error code that a failed walk gives.

    `ad`: the hardware sets accessed and dirty bits.  `user`: PFERR_USER_MASK is set in every
    error code (nested page tables are walked as user).  `rsvd_phys_bits`: of an address, what the
    CPU does not have.
    """

    __slots__ = (
        "accessed",
        "ad",
        "dirty",
        "ept",
        "large",
        "name",
        "present",
        "rsvd_phys_bits",
        "user",
    )

    EPT: ClassVar[PageFormat]
    EPT_NO_AD: ClassVar[PageFormat]
    NPT: ClassVar[PageFormat]
    PAE: ClassVar[PageFormat]

    def __init__(
        self, name: str, ept: bool, ad: bool, user: bool, maxphyaddr: int = MAXPHYADDR
    ) -> None:
        self.name = name
        self.ept = ept
        self.ad = ad
        self.user = user
        self.present = VMX_EPT_RWX_MASK if ept else PT_PRESENT_MASK
        self.accessed = VMX_EPT_ACCESS_BIT if ept else PT_ACCESSED_MASK
        self.dirty = VMX_EPT_DIRTY_BIT if ept else PT_DIRTY_MASK
        self.large = PT_PAGE_SIZE_MASK
        self.rsvd_phys_bits = rsvd_phys_bits(maxphyaddr)

    def of_cpu(self, maxphyaddr: int) -> PageFormat:
        """The same format on a CPU with so many physical address bits."""
        if rsvd_phys_bits(maxphyaddr) == self.rsvd_phys_bits:
            return self
        return PageFormat(self.name, self.ept, self.ad, self.user, maxphyaddr)

    def perms(self, entry: int) -> int:
        """PERM_* of a present entry."""
        if self.ept:
            return entry & VMX_EPT_RWX_MASK
        if self.user and not entry & PT_USER_MASK:
            return 0
        return PERM_R | (entry & PT_WRITABLE_MASK) | (0 if entry & PT64_NX_MASK else PERM_X)

    def is_reserved(self, entry: int, level: int, root_level: int) -> bool:
        """True if a present entry is one that the hardware refuses (EPT misconfiguration, RSVD)."""
        if entry & self.rsvd_phys_bits:
            return True
        leaf = level == 1 or bool(entry & self.large)
        if self.ept:
            # Writable without readable; reserved bits of a table entry; memory types 2, 3 and 7.
            if entry & 3 == 2:
                return True
            if leaf:
                if entry >> 3 & 7 in (2, 3, 7):
                    return True
            elif entry & 0x78:
                return True
        if level == 1 or not leaf:
            return False
        if level > 3 or (root_level == 3 and level == 3):
            return True
        low = 12 if self.ept else 13  # bit 12 of a large x86 entry is PAT
        return bool(entry & (1 << (12 + 9 * (level - 1))) - (1 << low))

    def error_code(self, access: int, present: int, reserved: bool) -> int:
        """The error code as KVM gives it to kvm_mmu_page_fault().

        `present`: the permissions that all entries of the walk had in common, 0 if one was absent.
        """
        if self.ept:
            if reserved:
                return PFERR_RSVD_MASK
            code = (PFERR_USER_MASK, PFERR_WRITE_MASK, PFERR_FETCH_MASK)[access]
            return code | (PFERR_PRESENT_MASK if present else 0)
        code = (0, PFERR_WRITE_MASK, PFERR_FETCH_MASK)[access] | (
            PFERR_USER_MASK if self.user else 0
        )
        if reserved:
            return code | PFERR_RSVD_MASK | PFERR_PRESENT_MASK
        return code | (PFERR_PRESENT_MASK if present else 0)


EPT = PageFormat.EPT = PageFormat("ept", True, True, False)
EPT_NO_AD = PageFormat.EPT_NO_AD = PageFormat("ept-no-ad", True, False, False)
NPT = PageFormat.NPT = PageFormat("npt", False, True, True)
PAE = PageFormat.PAE = PageFormat("pae", False, True, False)
