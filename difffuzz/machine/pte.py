# SPDX-License-Identifier: GPL-2.0-only
"""Host page-table entries: one int a entry, flags in the low 12 bits, pfn (4K pages) above.

An entry with neither PTE_PRESENT nor PTE_PROTNONE maps nothing: it is 0, or holds a swap slot, a
poisoned pfn or the pfn of a page that is being migrated.  Entries of the upper levels have the same
layout, with PTE_HUGE set.
"""

from __future__ import annotations

PTE_PRESENT = 1
PTE_WRITE = 2
PTE_SPECIAL = 4  # no struct page to take a reference of: zero page, device memory
PTE_ACCESSED = 8
PTE_DIRTY = 16
PTE_HUGE = 32
PTE_EXCLUSIVE = 64  # PageAnonExclusive of the page, or pte_swp_exclusive
PTE_PROTNONE = 128  # instead of PTE_PRESENT in a PROT_NONE mapping
PTE_SWAP = 256  # the pfn field is a swap slot
PTE_HWPOISON = 512
PTE_MIGRATION = 1024
PTE_UFFD_WP = 2048  # a write waits for the monitor

PTE_MAPPED = PTE_PRESENT | PTE_PROTNONE
"""The entry maps a page, even if nobody may use it (pte_present() on x86)."""
PTE_NONPRESENT = PTE_SWAP | PTE_HWPOISON | PTE_MIGRATION
PTE_FLAGS = 0xFFF

PMD_SIZE = 1 << 21
PMD_PAGES = 512
PUD_PAGES = 512 * 512
LEVEL_SHIFT = (0, 12, 21, 30)
"""log2 of the bytes that an entry maps, indexed by level (1, 2, 3)."""


def pte_pfn(pte: int) -> int:
    """The pfn of an entry; of the first 4K page if it is huge."""
    return pte >> 12


def pte_write(pte: int) -> bool:
    """True if the entry lets the CPU write."""
    return pte & PTE_WRITE != 0
