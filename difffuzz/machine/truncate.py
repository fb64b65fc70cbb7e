# SPDX-License-Identifier: GPL-2.0-only
"""mm/truncate.c, mm/shmem.c, fs/hugetlbfs/inode.c: holes punched into what lies behind an area.

fallocate(FALLOC_FL_PUNCH_HOLE): first every entry of the range goes, a bracket for each VMA, then
the pages go from the page cache, with their swap slots or what the disk has.  The next fault finds
a page of zeros.  Private anonymous memory and device memory have no file.
"""

from __future__ import annotations

from difffuzz.facts.errno import EINVAL

from .mm import Mm
from .pagetable import VMAS, keys_in
from .pte import LEVEL_SHIFT, PTE_HWPOISON, PTE_MAPPED, PTE_SWAP
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
    for vpn in keys_in(mm.page_cache, start >> 12, end >> 12):
        mm.page_lock.lock()
        truncate_folio(mm, vpn)
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


def truncate_folio(mm: Mm, vpn: int) -> None:
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
