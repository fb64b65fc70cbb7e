# SPDX-License-Identifier: GPL-2.0-only
"""mm/truncate.c, mm/shmem.c, fs/hugetlbfs/inode.c: holes punched into what lies behind an area.

fallocate(FALLOC_FL_PUNCH_HOLE): first every entry of the range goes, a bracket for each VMA, then
the pages go from the page cache, with their swap slots or what the disk has.  The next fault finds
a page of zeros.  Private anonymous memory and device memory have no file.
"""

from __future__ import annotations

from difffuzz.facts.errno import EINVAL

from .fault import migration_entry_wait
from .frames import Run
from .mm import Mm
from .pagetable import VMAS, keys_in
from .pte import LEVEL_SHIFT, PMD_PAGES, PMD_SIZE, PTE_HWPOISON, PTE_MAPPED, PTE_MIGRATION, PTE_SWAP
from .split import split_shmem_folio
from .vma import AREA_FLAGS, HUGETLB_LEVEL, VM_PFNMAP, VM_SHARED, area_of
from .zap import unmap_hugepage_range, unmap_single_vma


def punch_hole(mm: Mm, start: int, end: int) -> int:
    """fallocate(2) on the file behind [start, end): 0, or -EINVAL if there is none."""
    kind = mm.areas[area_of(start)]
    if kind in HUGETLB_LEVEL:
        hugetlbfs_punch_hole(mm, start, end, LEVEL_SHIFT[HUGETLB_LEVEL[kind]])
        return 0
    if not AREA_FLAGS[kind] & VM_SHARED or AREA_FLAGS[kind] & VM_PFNMAP:
        return -EINVAL
    mm.sched.touch(VMAS, False)
    for vma in mm.vmas.overlapping(start, end):
        # zap_page_range_single()
        first, last = max(start, vma.start), min(end, vma.end)
        mm.invalidate_range_start(first, last)
        unmap_single_vma(mm, vma, first, last, poison=False)
        mm.invalidate_range_end(first, last)
    for base in range(start & -PMD_SIZE, end, PMD_SIZE):
        truncate_partial_folio(mm, base, max(start, base), min(end, base + PMD_SIZE))
    for vpn in keys_in(mm.page_cache, start >> 12, end >> 12):
        mm.page_lock.lock()
        truncate_folio(mm, vpn, (vpn << 12) + PMD_SIZE <= end)
        mm.page_lock.unlock()
    for vpn in keys_in(mm.disk, start >> 12, end >> 12):
        del mm.disk[vpn]
    return 0


def hugetlbfs_punch_hole(mm: Mm, start: int, end: int, shift: int) -> None:
    """Of whole huge pages only; what is private goes too."""
    size = 1 << shift
    start, end = (start + size - 1) & -size, end & -size
    mm.sched.touch(VMAS, False)
    for vma in mm.vmas.overlapping(start, end) if start < end else ():
        unmap_hugepage_range(mm, vma, max(start, vma.start), min(end, vma.end))


def truncate_partial_folio(mm: Mm, base: int, start: int, end: int) -> None:
    """truncate_inode_partial_folio(): a huge page of which only a part goes is split.

    If it cannot be, for somebody holds it, that part is filled with zeros where it is.
    """
    if mm.page_cache.get(base >> 12, 0) & PTE_MIGRATION:
        migration_entry_wait(mm)  # somebody makes it huge
    cached = mm.page_cache.get(base >> 12, 0)
    run = mm.frames.run(cached >> 12) if cached & PTE_MAPPED else None
    if run is None or run.split or end - start == PMD_SIZE:
        return
    mm.page_lock.lock()
    if not split_shmem_folio(mm, base, run):
        for addr in range(start, end, 4096):
            mm.frames.set_data(run.head + (addr - base >> 12), 0)
    mm.page_lock.unlock()


def truncate_folio(mm: Mm, vpn: int, whole: bool) -> None:
    """truncate_inode_folio(): unmaps the page again, if somebody was quicker, and drops it."""
    cached = mm.page_cache.get(vpn, 0)
    if cached & PTE_SWAP:
        del mm.page_cache[vpn]
        mm.swap_free(cached >> 12)
    elif cached & PTE_HWPOISON:
        del mm.page_cache[vpn]  # whoever mapped the page meets the error still
    if not cached & PTE_MAPPED:
        return
    addr = vpn << 12
    run = mm.frames.run(cached >> 12)
    if run is not None and not run.split:
        if not vpn % PMD_PAGES and whole:
            truncate_huge_folio(mm, addr, run)
        return
    pte, level = mm.pt.leaf(addr)
    mm.sched.touch(VMAS, False)
    vma = mm.vmas.find(addr)
    if vma is not None and level == 1 and pte & PTE_MAPPED and pte >> 12 == cached >> 12:
        mm.invalidate_range_start(addr, addr + 4096)
        unmap_single_vma(mm, vma, addr, addr + 4096)
        mm.invalidate_range_end(addr, addr + 4096)
    if mm.page_cache.get(vpn) == cached:
        del mm.page_cache[vpn]
        mm.frames.dirty.discard(cached >> 12)
        mm.frames.unmap_page(cached >> 12)


def truncate_huge_folio(mm: Mm, base: int, run: Run) -> None:
    """A huge page goes from the page cache as a whole; whoever holds it keeps its pages."""
    mm.sched.touch(VMAS, False)
    vma = mm.vmas.find(base)
    if vma is not None and mm.pt.mapped(base, base + PMD_SIZE):
        mm.invalidate_range_start(base, base + PMD_SIZE)
        unmap_single_vma(mm, vma, base, base + PMD_SIZE)
        mm.invalidate_range_end(base, base + PMD_SIZE)
    for page in range(PMD_PAGES):
        mm.page_cache.pop((base >> 12) + page, None)
    mm.frames.dirty.discard(run.head)
    mm.frames.unmap_run(run.head)
