# SPDX-License-Identifier: GPL-2.0-only
"""kernel/fork.c, copy_page_range(): a child process that shares private memory copy-on-write.

The child is nothing but references: it never runs.  There is one at a time; the next fork lets it
exit first, which is how a page comes to have a single owner again.
"""

from __future__ import annotations

from .mm import Mm
from .mmap import round_out
from .pte import (
    PMD_SIZE,
    PTE_EXCLUSIVE,
    PTE_MAPPED,
    PTE_MIGRATION,
    PTE_SPECIAL,
    PTE_SWAP,
    PTE_WRITE,
)
from .split import split_huge_pmd
from .vma import VM_SHARED

WRPROTECT = ~(PTE_WRITE | PTE_EXCLUSIVE)


def child_exit(mm: Mm) -> None:
    """The child drops all it has.  This process sees nothing of it."""
    frames = mm.frames
    for head, count in mm.child_runs.items():
        for _ in range(count):
            frames.unmap_run(head)
    for pfn, count in mm.child_pages.items():
        for _ in range(count):
            frames.unmap_page(pfn)
    for slot, count in mm.child_swap.items():
        for _ in range(count):
            mm.swap_free(slot)
    mm.child_runs, mm.child_pages, mm.child_swap = {}, {}, {}


def fork(mm: Mm, start: int, end: int) -> None:
    """fork(2) with all but [start, end) marked MADV_DONTFORK: one bracket for each private VMA."""
    start, end = round_out(mm, start, end)
    mm.mmap_lock.down_write()
    child_exit(mm)
    for vma in mm.vmas.overlapping(start, end):
        if vma.flags & VM_SHARED or not vma.anon_vma:
            continue  # a page fault in the child fills it
        first, last = max(start, vma.start), min(end, vma.end)
        for edge in (first, last):
            if edge % PMD_SIZE and vma.level == 1 and edge >> 21 in mm.pt.huge:
                split_huge_pmd(mm, edge)
        mm.invalidate_range_start(first, last)
        copy_page_range(mm, first, last)
        mm.invalidate_range_end(first, last)
    mm.mmap_lock.up_write()


def copy_page_range(mm: Mm, start: int, end: int) -> None:
    """Write-protects every entry of the range and gives the child a reference to its page.

    A THP that reclaim splits before its turn is copied entry by entry.
    """
    table = -1
    for addr, level in mm.pt.mapped(start, end):
        if addr >> 21 != table:
            table = addr >> 21
            mm.point()
        mm.ptl.lock()
        pte, found = mm.pt.leaf(addr)
        if found == level and pte & (PTE_MAPPED | PTE_SWAP | PTE_MIGRATION):
            copy_pte(mm, addr, level, pte)
        mm.ptl.unlock()
        if found < level and addr >> 21 in mm.pt.tables:
            copy_page_range(mm, addr, addr + PMD_SIZE)


def copy_pte(mm: Mm, addr: int, level: int, pte: int) -> None:
    """One entry for the child; a page under migration is only write-protected."""
    number = pte >> 12
    if pte & PTE_SWAP:
        mm.swap[number].count += 1
        mm.child_swap[number] = mm.child_swap.get(number, 0) + 1
    elif level > 1 and pte & PTE_MAPPED:
        mm.frames.map_run(number)
        mm.child_runs[number] = mm.child_runs.get(number, 0) + 1
    elif pte & PTE_MAPPED and not pte & PTE_SPECIAL:
        mm.frames.map_page(number)
        mm.child_pages[number] = mm.child_pages.get(number, 0) + 1
    if pte & ~WRPROTECT:
        mm.pt.put_leaf(addr, level, pte & WRPROTECT)
        mm.note(addr, addr + (4096, PMD_SIZE, 1 << 30)[level - 1])
