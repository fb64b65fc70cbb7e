# SPDX-License-Identifier: GPL-2.0-only
"""The page-table formats of the guest's hardware: EPT, and x86 tables as NPT and PAE use them."""

from __future__ import annotations

from typing import ClassVar

READ, WRITE, EXEC = 0, 1, 2
"""Kinds of access."""

PERM_R, PERM_W, PERM_X = 1, 2, 4
PERM_OF_ACCESS = (PERM_R, PERM_W, PERM_X)

PFERR_PRESENT = 1
PFERR_WRITE = 2
PFERR_USER = 4
PFERR_RSVD = 8
PFERR_FETCH = 16

ADDR_MASK = (1 << 51) - 4096
"""Bits 50..12: the address in an entry.  Bit 51 is reserved, as with MAXPHYADDR 51."""


class PageFormat:
    """What the bits of an entry mean, and the error code that a failed walk gives.

    `ad`: the hardware sets accessed and dirty bits.  `user`: PFERR_USER is set in every error code
    (nested page tables are walked as user).
    """

    __slots__ = ("accessed", "ad", "dirty", "ept", "large", "name", "present", "user")

    EPT: ClassVar[PageFormat]
    EPT_NO_AD: ClassVar[PageFormat]
    NPT: ClassVar[PageFormat]
    PAE: ClassVar[PageFormat]

    def __init__(self, name: str, ept: bool, ad: bool, user: bool) -> None:
        self.name = name
        self.ept = ept
        self.ad = ad
        self.user = user
        self.present = 7 if ept else 1
        self.accessed = 1 << 8 if ept else 1 << 5
        self.dirty = 1 << 9 if ept else 1 << 6
        self.large = 1 << 7

    def perms(self, entry: int) -> int:
        """PERM_* of a present entry."""
        if self.ept:
            return entry & 7
        if self.user and not entry & 4:
            return 0
        return PERM_R | (entry & 2) | (0 if entry >> 63 else PERM_X)

    def is_reserved(self, entry: int, level: int, root_level: int) -> bool:
        """True if a present entry is one that the hardware refuses (EPT misconfiguration, RSVD)."""
        if entry & 1 << 51:
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
                return PFERR_RSVD
            code = (PFERR_USER, PFERR_WRITE, PFERR_FETCH)[access]
            return code | (PFERR_PRESENT if present else 0)
        code = (0, PFERR_WRITE, PFERR_FETCH)[access] | (PFERR_USER if self.user else 0)
        if reserved:
            return code | PFERR_RSVD | PFERR_PRESENT
        return code | (PFERR_PRESENT if present else 0)


EPT = PageFormat.EPT = PageFormat("ept", True, True, False)
EPT_NO_AD = PageFormat.EPT_NO_AD = PageFormat("ept-no-ad", True, False, False)
NPT = PageFormat.NPT = PageFormat("npt", False, True, True)
PAE = PageFormat.PAE = PageFormat("pae", False, True, False)
