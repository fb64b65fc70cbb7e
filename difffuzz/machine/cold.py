# SPDX-License-Identifier: GPL-2.0-only
"""mm/madvise.c: MADV_COLD and MADV_PAGEOUT, of pages that nobody else maps.

Neither asks KVM whether a page is young, nor brackets anything of its own: only the host's entry
and the page become old.  What comes after does: a huge page that is partly covered is split, and
MADV_PAGEOUT reclaims.  A difference from Linux 6.1: page locks are waited for.
"""

from __future__ import annotations

from .mm import Mm
from .pagetable import PAGE_FLAGS
from .pte import PMD_SIZE, PTE_ACCESSED, PTE_MAPPED, PTE_SPECIAL
from .split import split_huge_page
from .swap import digest_of, reclaim, reclaim_shmem_folio, reclaim_thp
from .vma import VM_PFNMAP


def madvise_cold(mm: Mm, start: int, end: int) -> None:
    """madvise(MADV_COLD): the pages are old, for the host."""
    walk_vmas(mm, start, end, None)


def madvise_pageout(mm: Mm, start: int, end: int) -> int:
    """madvise(MADV_PAGEOUT): the pages are reclaimed at once; see swap_out() for the answer."""
    dropped: list[int] = []
    walk_vmas(mm, start, end, dropped)
    return digest_of(dropped)


def walk_vmas(mm: Mm, start: int, end: int, dropped: list[int] | None) -> None:
    """Both of them; refused at the first VMA of hugetlb or device memory (can_madv_lru_vma())."""
    mm.mmap_lock.down_read()
    for vma in mm.vmas.overlapping(start, end):
        if vma.level > 1 or vma.flags & VM_PFNMAP:
            break
        first, last = max(start, vma.start), min(end, vma.end)
        for index in mm.pt.populated(first, last):
            base = index << 21
            mm.page_lock.lock()
            cold_or_pageout_range(mm, max(first, base), min(last, base + PMD_SIZE), dropped)
            mm.page_lock.unlock()
    mm.mmap_lock.up_read()


def cold_or_pageout_range(mm: Mm, start: int, end: int, dropped: list[int] | None) -> None:
    """madvise_cold_or_pageout_pte_range() of one pmd; `dropped` is for those to be reclaimed."""
    if start >> 21 in mm.pt.huge and cold_huge_pmd(mm, start, end, dropped):
        return
    addrs = [addr for addr, level in mm.pt.mapped(start, end) if level == 1]
    for addr in addrs:
        pte = mm.pt.page(addr)
        if not pte & PTE_MAPPED or pte & PTE_SPECIAL:
            continue
        run = mm.frames.run(pte >> 12)
        if run is not None and not run.split:
            # A huge page that no pmd maps: what cannot be split ends the walk.
            if not owned(mm, addr, pte >> 12) or not split_huge_page(mm, addr):
                addrs = [one for one in addrs if one < addr]
            break
    mm.ptl.lock()
    cold = [addr for addr in addrs if make_cold(mm, addr)]
    mm.ptl.unlock()
    if dropped is not None:
        for addr in cold:
            reclaim(mm, addr, dropped)


def cold_huge_pmd(mm: Mm, start: int, end: int, dropped: list[int] | None) -> bool:
    """False if it was split and its entries are to be treated one by one."""
    pte = mm.pt.huge[start >> 21]
    if not pte & PTE_MAPPED or not owned(mm, start, pte >> 12):
        return True
    if end - start != PMD_SIZE:
        return not split_huge_page(mm, start)
    mm.ptl.lock()
    there = mm.pt.huge.get(start >> 21) == pte
    if there:
        mm.pt.huge[start >> 21] = pte & ~PTE_ACCESSED
        make_old(mm, pte >> 12)
    mm.ptl.unlock()
    if there and dropped is not None:
        if start >> 12 in mm.page_cache:
            reclaim_shmem_folio(mm, start, start, end)
        else:
            reclaim_thp(mm, start, dropped)
    return True


def owned(mm: Mm, addr: int, pfn: int) -> bool:
    """page_mapcount() is 1; the page cache counts as a mapping here."""
    return mm.frames.mapcount(pfn) == (2 if addr >> 12 in mm.page_cache else 1)


def make_cold(mm: Mm, addr: int) -> bool:
    """One entry, under `ptl`: it is old if nobody else maps the page.  False: it is left alone."""
    pte, level = mm.pt.leaf(addr)
    if level > 1 or not pte & PTE_MAPPED or pte & PTE_SPECIAL or not owned(mm, addr, pte >> 12):
        return False
    mm.pt.put_leaf(addr, 1, pte & ~PTE_ACCESSED)
    make_old(mm, pte >> 12)
    return True


def make_old(mm: Mm, pfn: int) -> None:
    """folio_clear_referenced() and folio_test_clear_young()."""
    folio = mm.frames.folio(pfn)
    mm.sched.touch((PAGE_FLAGS, folio))
    mm.frames.accessed.discard(folio)
