# SPDX-License-Identifier: GPL-2.0-only
"""mm/hugetlb.c: faults on private hugetlb memory.  Copy-on-write moves whole huge pages."""

from __future__ import annotations

from .mm import Mm
from .pte import (
    LEVEL_SHIFT,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_EXCLUSIVE,
    PTE_HUGE,
    PTE_HWPOISON,
    PTE_MIGRATION,
    PTE_PRESENT,
    PTE_WRITE,
)
from .vma import Vma

VM_FAULT_HWPOISON_LARGE = 1


def hugetlb_fault(mm: Mm, vma: Vma, addr: int, write: bool) -> int:
    """A fault on hugetlb memory; 0 or VM_FAULT_*."""
    level = vma.level
    shift = LEVEL_SHIFT[level]
    leaves = mm.pt.leaves(level)
    key = addr >> shift
    orig = leaves.get(key, 0)
    if not orig:
        hugetlb_no_page(mm, vma, key)
        orig = leaves.get(key, 0)
        if not orig & PTE_PRESENT:
            # Poisoned or migrating by now: the caller tries again.
            return 0
    elif orig & PTE_HWPOISON:
        return VM_FAULT_HWPOISON_LARGE
    elif orig & PTE_MIGRATION:
        mm.page_lock.lock()
        mm.page_lock.unlock()
        return 0
    if write and not orig & PTE_WRITE:
        hugetlb_wp(mm, vma, key, orig)
        return 0
    leaves[key] = orig | PTE_ACCESSED | (PTE_DIRTY if write else 0)
    return 0


def hugetlb_no_page(mm: Mm, vma: Vma, key: int) -> None:
    """Maps a zeroed huge page, read-only as private mappings start."""
    level = vma.level
    shift = LEVEL_SHIFT[level]
    head = mm.frames.alloc(1 << (shift - 12))
    mm.ptl.lock()
    if mm.pt.leaves(level).get(key):
        mm.frames.unmap_run(head)
    else:
        vma.anon_vma = True
        pte = head << 12 | PTE_PRESENT | PTE_ACCESSED | PTE_HUGE | PTE_EXCLUSIVE
        if level == 2:
            mm.pt.set_huge(key, pte)
        else:
            mm.pt.gig[key] = pte
        mm.note(key << shift, (key + 1) << shift)
    mm.ptl.unlock()


def hugetlb_wp(mm: Mm, vma: Vma, key: int, orig: int) -> None:
    """Write to a read-only huge page: reuse it if no other process maps it, else copy it."""
    shift = LEVEL_SHIFT[vma.level]
    start, end = key << shift, (key + 1) << shift
    leaves = mm.pt.leaves(vma.level)
    frames = mm.frames
    head = orig >> 12
    flags = PTE_ACCESSED | PTE_WRITE | PTE_DIRTY | PTE_EXCLUSIVE
    mm.ptl.lock()
    if leaves.get(key) != orig:
        mm.ptl.unlock()
        return
    if frames.mapcount(head) == 1:
        leaves[key] = orig | flags
        mm.note(start, end)
        mm.ptl.unlock()
        return
    frames.get(head)
    mm.ptl.unlock()
    new = frames.alloc(1 << (shift - 12))
    frames.copy_run(head, new)
    mm.invalidate_range_start(start, end)
    mm.ptl.lock()
    if leaves.get(key) == orig:
        leaves[key] = new << 12 | PTE_PRESENT | PTE_HUGE | flags
        mm.note(start, end)
        frames.unmap_run(head)
    else:
        frames.unmap_run(new)
    mm.ptl.unlock()
    mm.invalidate_range_end(start, end)
    frames.put(head)
