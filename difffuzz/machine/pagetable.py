# SPDX-License-Identifier: GPL-2.0-only
"""The host's page table: three levels of leaves, stored sparsely.

`tables` has the page tables of 4K entries by 2M index (hva >> 21), `huge` the 2M leaves by the same
index, `gig` the 1G leaves by hva >> 30.  An empty table in `tables` is a page table without
entries: it keeps a THP from being mapped there until munmap frees it or khugepaged collapses it.
"""

from __future__ import annotations

from .pte import PTE_HUGE


def keys_in(entries: dict[int, int] | dict[int, dict[int, int]], lo: int, hi: int) -> list[int]:
    """Keys in [lo, hi), ascending; cost is the smaller of the range and the dictionary."""
    if hi - lo <= len(entries):
        return [key for key in range(lo, hi) if key in entries]
    return sorted(key for key in entries if lo <= key < hi)


HOST_PAGE_TABLE = "host page table"
"""What the scheduler is told when an entry is looked at or changed: one name for all of them."""
PAGE_FLAGS = "page flags"
"""The same, with the folio, for its flags: to set one is a use, for that commutes; to look or to
clear is a change."""
VMAS = "vmas"
"""The same for the VMAs, which the reverse map leads to without mmap_lock."""


class PageTable:
    """pgd, p4d, pud, pmd and pte levels of one process."""

    __slots__ = ("gig", "huge", "pmd_pages", "tables")

    def __init__(self) -> None:
        self.tables: dict[int, dict[int, int]] = {}
        self.huge: dict[int, int] = {}
        self.gig: dict[int, int] = {}
        self.pmd_pages: set[int] = set()
        """hva >> 30 of every pud entry that points to a page of pmds."""

    def table(self, index: int) -> dict[int, int]:
        """The table of 4K entries (by hva >> 12) at a 2M index, made if it is not there."""
        table = self.tables.get(index)
        if table is None:
            table = self.tables[index] = {}
            self.pmd_pages.add(index >> 9)
        return table

    def set_huge(self, index: int, pte: int) -> None:
        """Sets a 2M leaf; there must be no table."""
        assert index not in self.tables
        self.huge[index] = pte
        self.pmd_pages.add(index >> 9)

    def leaf(self, addr: int) -> tuple[int, int]:
        """The entry that covers `addr`, present or not, and its level; (0, 1) if there is none."""
        table = self.tables.get(addr >> 21)
        if table is not None:
            return table.get(addr >> 12, 0), 1
        pte = self.huge.get(addr >> 21)
        if pte is not None:
            return pte, 2
        pte = self.gig.get(addr >> 30)
        if pte is not None:
            return pte, 3
        return 0, 1

    def page(self, addr: int) -> int:
        """The entry that covers `addr` as if it were a 4K entry, or 0."""
        table = self.tables.get(addr >> 21)
        if table is not None:
            return table.get(addr >> 12, 0)
        pte, level = self.leaf(addr)
        if level == 1:
            return pte
        if level == 2:
            return (pte & ~PTE_HUGE) + (addr >> 12 & 511) * 4096
        return (pte & ~PTE_HUGE) + (addr >> 12 & 0x3FFFF) * 4096

    def leaves(self, level: int) -> dict[int, int]:
        """The leaves of level 2 or 3."""
        return self.huge if level == 2 else self.gig

    def put_leaf(self, addr: int, level: int, pte: int) -> None:
        """Replaces the entry of a level that exists; 0 clears it."""
        if level == 1:
            table = self.tables[addr >> 21]
            if pte:
                table[addr >> 12] = pte
            else:
                table.pop(addr >> 12, None)
            return
        leaves, key = (self.huge, addr >> 21) if level == 2 else (self.gig, addr >> 30)
        if pte:
            leaves[key] = pte
        else:
            leaves.pop(key, None)

    def populated(self, start: int, end: int) -> list[int]:
        """2M indices in [start, end) that have a table or a 2M leaf, ascending."""
        lo, hi = start >> 21, (end + 0x1FFFFF) >> 21
        return sorted(keys_in(self.tables, lo, hi) + keys_in(self.huge, lo, hi))

    def mapped(self, start: int, end: int) -> list[tuple[int, int]]:
        """(hva, level) of every entry that is not 0 and lies in or reaches into [start, end)."""
        found = [(k << 30, 3) for k in keys_in(self.gig, start >> 30, (end + 0x3FFFFFFF) >> 30)]
        for index in self.populated(start, end):
            table = self.tables.get(index)
            if table is None:
                found.append((index << 21, 2))
                continue
            lo, hi = max(start >> 12, index << 9), min(end >> 12, (index + 1) << 9)
            found += [(vpn << 12, 1) for vpn in keys_in(table, lo, hi)]
        return found
