# SPDX-License-Identifier: GPL-2.0-only
"""mm/khugepaged.c for shared memory: the pages of a 2M range of the page cache become one.

What is mapped is unmapped page by page, a bracket each, and found again in the page cache.  While
the huge page is not filled yet it is locked: whoever wants one of its pages waits.
"""

from __future__ import annotations

from difffuzz.facts.errno import EAGAIN, EINVAL

from .fault import YOUNG, cached_entry, do_set_pmd, whole_folio
from .mm import Mm
from .pagetable import keys_in
from .pte import (
    PMD_PAGES,
    PMD_SIZE,
    PTE_HWPOISON,
    PTE_MAPPED,
    PTE_MIGRATION,
    PTE_PRESENT,
    PTE_WRITE,
)
from .swap import unmap_cached
from .vma import VM_NOHUGEPAGE, VM_UFFD_WP, VM_WRITE, Vma

SCAN_SUCCEED = 0
SCAN_PMD_MAPPED = 1
"""A THP is there already."""
SCAN_STOP = 2
"""Nor is what comes after worth a look."""
SCAN_PTE_MAPPED_HUGEPAGE = 3
"""The page cache has a huge page, of which a table maps parts."""


def may_be_huge(vma: Vma | None, base: int) -> bool:
    """hugepage_vma_check() and transhuge_vma_suitable(); how shmem is mounted does not matter."""
    if vma is None or not vma.is_shmem or vma.flags & VM_NOHUGEPAGE:
        return False
    return vma.fits_huge(base)


def collapse_shmem(mm: Mm, base: int) -> int:
    """MADV_COLLAPSE of one 2M of shared memory: SCAN_* or -errno.

    The kernel only tries to get mmap_lock for the page table while it holds the huge page's lock;
    here it never does, and comes back for it as if somebody had been quicker.
    """
    result = scan_file(mm, base)
    if result == SCAN_PTE_MAPPED_HUGEPAGE:
        mm.mmap_lock.down_write()
        result = collapse_pte_mapped_thp(mm, base)
        mm.mmap_lock.up_write()
    return result


def scan_file(mm: Mm, base: int) -> int:
    """hpage_collapse_scan_file() but for khugepaged's own limits."""
    first = base >> 12
    for vpn in keys_in(mm.page_cache, first, first + PMD_PAGES):
        cached = mm.page_cache[vpn]
        if cached & PTE_HWPOISON:
            return -EAGAIN  # it is on no LRU list
        if not cached & (PTE_MAPPED | PTE_MIGRATION):
            continue
        if whole_folio(mm, cached >> 12):
            return SCAN_PTE_MAPPED_HUGEPAGE
        if mm.frames.pins(cached >> 12):
            return -EAGAIN
    mm.page_lock.lock()
    result = collapse_file(mm, base)
    mm.page_lock.unlock()
    return result


def collapse_file(mm: Mm, base: int) -> int:
    """Takes page by page off its mappings and puts the huge page in its place, or all back."""
    first = base >> 12
    head = mm.frames.alloc(PMD_PAGES)
    taken: dict[int, int] = {}
    for vpn in range(first, first + PMD_PAGES):
        cached = cached_entry(mm, vpn)
        result = take(mm, vpn, cached)
        if result:
            for other, old in taken.items():
                if old:
                    mm.page_cache[other] = old
                else:
                    del mm.page_cache[other]
            mm.frames.unmap_run(head)
            return result
        taken[vpn] = cached
        if cached:
            value = mm.frames.data(cached >> 12)
            if value:
                mm.frames.set_data(head + vpn - first, value)
        mm.page_cache[vpn] = head + vpn - first << 12 | PTE_MIGRATION
    for vpn, cached in taken.items():
        mm.page_cache[vpn] = head + vpn - first << 12 | PTE_PRESENT
        if cached:
            mm.frames.dirty.discard(cached >> 12)
            mm.frames.unmap_page(cached >> 12)
    mm.frames.mark_dirty(head)
    return retract_page_tables(mm, base)


def take(mm: Mm, vpn: int, cached: int) -> int:
    """Isolates a page: nothing maps it any more, and nobody holds it; SCAN_* or -EAGAIN."""
    if not cached:
        later = keys_in(mm.page_cache, vpn + 1, (vpn | PMD_PAGES - 1) + 1)
        return SCAN_SUCCEED if vpn % PMD_PAGES or later else SCAN_STOP
    if cached & PTE_HWPOISON:
        return -EAGAIN
    pfn = cached >> 12
    if whole_folio(mm, pfn):
        return SCAN_PTE_MAPPED_HUGEPAGE
    if mm.frames.mapcount(pfn) > 1:
        unmap_cached(mm, vpn << 12, pfn)
    return SCAN_SUCCEED if mm.frames.page_count(pfn) == 1 else -EAGAIN


def retract_page_tables(mm: Mm, base: int) -> int:
    """What is to be done for the page table of the process that asked."""
    if not may_be_huge(mm.vmas.find(base), base):
        return SCAN_STOP
    result = find_pmd_or_thp_or_none(mm, base)
    return SCAN_PTE_MAPPED_HUGEPAGE if result == SCAN_SUCCEED else result or SCAN_STOP


def find_pmd_or_thp_or_none(mm: Mm, base: int) -> int | None:
    """SCAN_SUCCEED for a page table, None for an empty pmd (SCAN_PMD_NONE)."""
    if base >> 21 in mm.pt.huge:
        return SCAN_PMD_MAPPED
    if base >> 21 in mm.pt.tables:
        return SCAN_SUCCEED
    return None if base >> 30 in mm.pt.pmd_pages else -EINVAL


def collapse_pte_mapped_thp(mm: Mm, base: int) -> int:
    """Takes the page table away and maps the huge page, mmap_lock held for write."""
    result = find_pmd_or_thp_or_none(mm, base)
    if result == SCAN_PMD_MAPPED:
        return SCAN_PMD_MAPPED
    vma = mm.vmas.find(base)
    if vma is None or not may_be_huge(vma, base):
        return SCAN_STOP
    if vma.flags & VM_UFFD_WP:
        return -EINVAL
    mm.page_lock.lock()
    cached = mm.page_cache.get(base >> 12, 0)
    if not cached or result == -EINVAL:
        answer = -EINVAL
    elif not cached & PTE_MAPPED or not whole_folio(mm, cached >> 12):
        answer = SCAN_STOP
    else:
        head = cached >> 12
        answer = collapse_and_free_pmd(mm, base, head) if result == SCAN_SUCCEED else SCAN_SUCCEED
        if answer == SCAN_SUCCEED:
            do_set_pmd(mm, base, head, YOUNG | (PTE_WRITE if vma.flags & VM_WRITE else 0))
    mm.page_lock.unlock()
    return answer


def collapse_and_free_pmd(mm: Mm, base: int, head: int) -> int:
    """Frees a table that maps nothing but pages of the huge page, each at its place."""
    for vpn, pte in sorted(mm.pt.tables[base >> 21].items()):
        if not pte & PTE_MAPPED:
            return -EINVAL
        if pte >> 12 != head + vpn % PMD_PAGES:
            return SCAN_STOP
    mm.invalidate_range_start(base, base + PMD_SIZE)
    mm.ptl.lock()
    table = mm.pt.tables.pop(base >> 21)
    for vpn, pte in table.items():
        mm.unmap_entry(vpn << 12, 1, pte)
    mm.note(base, base + PMD_SIZE)
    mm.ptl.unlock()
    mm.invalidate_range_end(base, base + PMD_SIZE)
    return SCAN_SUCCEED
