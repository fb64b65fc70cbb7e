# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory-failure.c: a memory error in a page that is mapped.

The entries become poison entries: an access gets -EHWPOISON until the range is unmapped.  The error
of a hugetlb page takes all of it away; a THP is split first, and spared if it is pinned.
"""

from __future__ import annotations

from .migrate import rmap_addresses
from .mm import Mm
from .pagetable import VMAS
from .pte import (
    LEVEL_SHIFT,
    PTE_HUGE,
    PTE_HWPOISON,
    PTE_MAPPED,
    PTE_SPECIAL,
)
from .split import split_huge_page


def hwpoison(mm: Mm, start: int, end: int) -> None:
    """madvise(MADV_HWPOISON) on the mapped pages of the range; the others are spared."""
    for addr, level in mm.pt.mapped(start, end):
        mm.sched.touch(VMAS, False)
        vma = mm.vmas.find(addr)
        if vma is None:
            continue
        mm.page_lock.lock()
        if vma.level > 1:
            memory_failure(mm, addr, level)
        elif split_thp(mm, addr, level):
            for part in range(max(addr, start), min(addr + (1 << LEVEL_SHIFT[level]), end), 4096):
                memory_failure(mm, part, 1)
        mm.page_lock.unlock()


def split_thp(mm: Mm, addr: int, level: int) -> bool:
    """Splits the THP at `addr`; True if there is none or it was split.

    One that is mapped in parts is not, unless it is in the page cache.
    """
    if level == 1:
        run = mm.frames.run(mm.pt.page(addr) >> 12)
        if addr >> 12 not in mm.page_cache or run is None or run.split:
            return True
    elif not mm.pt.huge.get(addr >> 21, 0) & PTE_MAPPED:
        return True
    return split_huge_page(mm, addr)


def memory_failure(mm: Mm, addr: int, level: int) -> None:
    """Poisons the page mapped at `addr`: one bracket for each entry that maps it."""
    pte, found = mm.pt.leaf(addr)
    mapped = True
    if not pte and level == 1:
        pte = mm.page_cache.get(addr >> 12, 0)  # the split has unmapped it
        mapped = False
    if found != level or not pte & PTE_MAPPED or pte & PTE_SPECIAL:
        return
    pfn = pte >> 12
    size = 1 << LEVEL_SHIFT[level]
    for each in rmap_addresses(mm, addr, pfn) if mapped else ():
        mm.invalidate_range_start(each, each + size)
        mm.ptl.lock()
        pte, found = mm.pt.leaf(each)
        if found == level and pte & PTE_MAPPED and pte >> 12 == pfn:
            mm.pt.put_leaf(each, level, pfn << 12 | PTE_HWPOISON | pte & PTE_HUGE)
            mm.note(each, each + size)
            mm.unmap_entry(each, level, pte)
        mm.ptl.unlock()
        mm.invalidate_range_end(each, each + size)
    mm.child_unmap(pfn, level)
    cached = mm.page_cache.get(addr >> 12, 0)
    if level == 1 and cached & PTE_MAPPED and cached >> 12 == pfn:
        mm.page_cache[addr >> 12] = pfn << 12 | PTE_HWPOISON
        mm.frames.unmap_page(pfn)
    mm.sched.touch(("poisoned", pfn))
    mm.frames.poisoned.add(pfn)
