# SPDX-License-Identifier: GPL-2.0-only
"""mm/madvise.c: MADV_FREE.  The pages stay mapped, but clean: reclaim drops one that stays clean.

A write makes it dirty again, by the host's own entry or, through an SPTE, when KVM says so.  Two
differences from Linux 6.1: pages that somebody else maps too are left alone (the kernel skips them
only if they are dirty; else their other entries keep them), and page locks are waited for.
"""

from __future__ import annotations

from .mm import Mm
from .pagetable import PAGE_FLAGS
from .pte import (
    PMD_SIZE,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_HWPOISON,
    PTE_MAPPED,
    PTE_SPECIAL,
    PTE_SWAP,
)
from .split import split_huge_page


def madvise_free(mm: Mm, start: int, end: int) -> None:
    """madvise(MADV_FREE): one bracket for each VMA; refused at the first that is not anonymous."""
    mm.mmap_lock.down_read()
    for vma in mm.vmas.overlapping(start, end):
        if not vma.anonymous:
            break
        first, last = max(start, vma.start), min(end, vma.end)
        mm.invalidate_range_start(first, last)
        for index in mm.pt.populated(first, last):
            base = index << 21
            mm.page_lock.lock()
            madvise_free_pte_range(mm, max(first, base), min(last, base + PMD_SIZE))
            mm.page_lock.unlock()
        mm.invalidate_range_end(first, last)
    mm.mmap_lock.up_read()


def madvise_free_pte_range(mm: Mm, start: int, end: int) -> None:
    """The entries of one pmd; huge pages that are not freed as a whole are split."""
    if start >> 21 in mm.pt.huge and madvise_free_huge_pmd(mm, start, end):
        return
    entries = mm.pt.mapped(start, end)
    for addr, level in entries:
        pte = mm.pt.leaf(addr)[0]
        if level > 1 or not pte & PTE_MAPPED or pte & PTE_SPECIAL:
            continue
        run = mm.frames.run(pte >> 12)
        if run is not None and not run.split:
            # folio_estimated_sharers() looks at the first page, which may be mapped no more.
            if mm.frames.mapcount(run.head) != 1 or not split_huge_page(mm, addr):
                entries = [one for one in entries if one[0] < addr]
            break
    mm.ptl.lock()
    for addr, level in entries:
        if level == 1:
            free_pte(mm, addr)
    mm.ptl.unlock()


def madvise_free_huge_pmd(mm: Mm, start: int, end: int) -> bool:
    """False if it was split and its entries are to be freed one by one."""
    index = start >> 21
    pte = mm.pt.huge[index]
    pfn = pte >> 12
    if not pte & PTE_MAPPED or mm.frames.mapcount(pfn) != 1:
        return True
    if end - start != PMD_SIZE:
        return not split_huge_page(mm, start)
    mm.ptl.lock()
    if mm.pt.huge.get(index) == pte:
        make_lazyfree(mm, pfn)
        mm.pt.huge[index] = pte & ~(PTE_ACCESSED | PTE_DIRTY)
        mm.note(start, end)
    mm.ptl.unlock()
    return True


def make_lazyfree(mm: Mm, pfn: int) -> None:
    """The folio is clean, and may be dropped as long as it is."""
    mm.sched.touch((PAGE_FLAGS, pfn))
    mm.frames.dirty.discard(pfn)
    mm.frames.lazyfree.add(pfn)


def free_pte(mm: Mm, addr: int) -> None:
    """One entry: what is in swap goes at once, a page becomes clean and old; under `ptl`."""
    pte, level = mm.pt.leaf(addr)
    pfn = pte >> 12
    if level > 1:
        return
    if pte & PTE_SWAP:
        mm.swap_free(pfn)
        mm.set_pte(addr, 0)
    elif pte & PTE_HWPOISON:
        mm.set_pte(addr, 0)
    elif pte & PTE_MAPPED and not pte & PTE_SPECIAL and mm.frames.mapcount(pfn) == 1:
        run = mm.frames.run(pfn)
        if run is None or run.split:
            make_lazyfree(mm, pfn)
            mm.set_pte(addr, pte & ~(PTE_ACCESSED | PTE_DIRTY))
