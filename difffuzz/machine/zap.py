# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory.c: clearing a range of the page table."""

from __future__ import annotations

from .mm import Mm
from .pagetable import keys_in
from .pte import (
    LEVEL_SHIFT,
    PMD_SIZE,
    PTE_DIRTY,
    PTE_HWPOISON,
    PTE_MAPPED,
    PTE_MIGRATION,
    PTE_SWAP,
)
from .split import split_huge_pmd
from .vma import Vma


def unmap_single_vma(mm: Mm, vma: Vma, start: int, end: int, poison: bool = True) -> None:
    """Clears every entry of [start, end) in the VMA and drops what they held.

    The caller has told the notifiers.  Hugetlb tells them again, and so does the split of a THP
    that is only partly in the range.  Reclaim may split a THP before it is cleared: it holds no
    mmap_lock.  Without `poison`, those stay that stand for a page whose memory failed.
    """
    if vma.level > 1:
        unmap_hugepage_range(mm, vma, start, end)
        return
    for index in mm.pt.populated(start, end):
        base = index << 21
        if index in mm.pt.huge:
            if not (start <= base and base + PMD_SIZE <= end):
                split_huge_pmd(mm, max(base, start))
            elif zap_huge(mm, base, 2) or index not in mm.pt.tables:
                continue
        zap_pte_range(mm, index, start, end, poison)


def unmap_hugepage_range(mm: Mm, vma: Vma, start: int, end: int) -> None:
    """__unmap_hugepage_range()."""
    shift = LEVEL_SHIFT[vma.level]
    mm.invalidate_range_start(start, end)
    for key in keys_in(mm.pt.leaves(vma.level), start >> shift, end >> shift):
        zap_huge(mm, key << shift, vma.level)
    mm.invalidate_range_end(start, end)


def zap_huge(mm: Mm, base: int, level: int) -> bool:
    """Clears one 2M or 1G entry; False if there is none any more."""
    mm.ptl.lock()
    pte, found = mm.pt.leaf(base)
    there = found == level and pte != 0
    if there:
        mm.pt.put_leaf(base, level, 0)
        mm.note(base, base + (1 << LEVEL_SHIFT[level]))
        if pte & (PTE_MAPPED | PTE_MIGRATION):
            mm.unmap_entry(base, level, pte)
    mm.ptl.unlock()
    return there


def zap_pte_range(mm: Mm, index: int, start: int, end: int, poison: bool) -> None:
    """Clears the 4K entries of [start, end) that lie in one table; the table stays."""
    mm.ptl.lock()
    table = mm.pt.tables.get(index)
    if table:
        lo, hi = max(start >> 12, index << 9), min(end >> 12, (index + 1) << 9)
        vpns = keys_in(table, lo, hi)
        if not poison:
            vpns = [vpn for vpn in vpns if not table[vpn] & PTE_HWPOISON]
        if vpns:
            mm.note(vpns[0] << 12, (vpns[-1] + 1) << 12)
        pfns = []
        for vpn in vpns:
            pte = table.pop(vpn)
            if pte & (PTE_MAPPED | PTE_MIGRATION):
                pfns.append(pte >> 12)
                if mm.ksm:
                    mm.ksm_remove(pte >> 12, vpn << 12)
                if pte & PTE_DIRTY and vpn in mm.page_cache:
                    mm.frames.mark_dirty(pte >> 12)
            elif pte & PTE_SWAP:
                mm.swap_free(pte >> 12)
        mm.frames.unmap_pages(pfns)
    mm.ptl.unlock()


def free_pgtables(mm: Mm, start: int, end: int) -> None:
    """Frees page tables that no VMA can use any more."""
    if mm.pt.tables:
        for index in mm.pt.populated(start & -PMD_SIZE, end):
            if not mm.vmas.overlapping(index << 21, (index + 1) << 21):
                mm.pt.tables.pop(index, None)
    for key in range(start >> 30, (end + (1 << 30) - 1) >> 30):
        if key in mm.pt.pmd_pages and not mm.vmas.overlapping(key << 30, (key + 1) << 30):
            mm.pt.pmd_pages.discard(key)
