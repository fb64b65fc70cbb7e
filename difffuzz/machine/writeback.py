# SPDX-License-Identifier: GPL-2.0-only
"""mm/page-writeback.c: dirty pages of files go to the disk; each is clean afterwards.

folio_mkclean() of mm/rmap.c takes the write permission from the entries that map a page, so that
the next write is told to the filesystem and makes the page dirty again.
"""

from __future__ import annotations

from .mm import Mm
from .pagetable import PAGE_FLAGS, VMAS, keys_in
from .pte import PTE_DIRTY, PTE_MAPPED, PTE_WRITE
from .vma import AREA_FLAGS, VM_FILE, area_of


def writeback(mm: Mm, start: int, end: int) -> None:
    """write_cache_pages() of the file behind [start, end): sync_file_range(2)."""
    if not AREA_FLAGS[mm.areas[area_of(start)]] & VM_FILE:
        return
    for vpn in keys_in(mm.page_cache, start >> 12, end >> 12):
        mm.page_lock.lock()
        cached = mm.page_cache.get(vpn, 0)
        if cached & PTE_MAPPED and folio_clear_dirty_for_io(mm, vpn << 12, cached >> 12):
            mm.point()
            mm.disk[vpn] = mm.frames.data(cached >> 12)
        mm.page_lock.unlock()


def folio_clear_dirty_for_io(mm: Mm, addr: int, pfn: int) -> bool:
    """Makes the page and its entry clean; True if it has to be written."""
    mm.sched.touch((PAGE_FLAGS, pfn))
    if pfn not in mm.frames.dirty:
        return False
    folio_mkclean(mm, addr, pfn)
    mm.sched.touch((PAGE_FLAGS, pfn))
    mm.frames.dirty.discard(pfn)
    return True


def folio_mkclean(mm: Mm, addr: int, pfn: int) -> None:
    """The entry that maps the page, if one does, becomes read-only and clean in a bracket."""
    mm.sched.touch(VMAS, False)
    if mm.frames.mapcount(pfn) == 1 or mm.vmas.find(addr) is None:
        return
    mm.invalidate_range_start(addr, addr + 4096)
    mm.ptl.lock()
    pte, level = mm.pt.leaf(addr)
    if level == 1 and pte & PTE_MAPPED and pte >> 12 == pfn and pte & (PTE_DIRTY | PTE_WRITE):
        mm.set_pte(addr, pte & ~(PTE_DIRTY | PTE_WRITE))
    mm.ptl.unlock()
    mm.invalidate_range_end(addr, addr + 4096)
