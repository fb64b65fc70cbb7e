# SPDX-License-Identifier: GPL-2.0-only
"""mm/mmap.c, mm/mprotect.c, mm/madvise.c: the system calls that change mappings.

Ranges are [start, end) in bytes inside one area; on hugetlb they are rounded out to whole huge
pages, as a caller must do there.
"""

from __future__ import annotations

from .mm import Mm
from .pagetable import VMAS
from .pte import (
    LEVEL_SHIFT,
    PMD_SIZE,
    PTE_DIRTY,
    PTE_EXCLUSIVE,
    PTE_HWPOISON,
    PTE_MAPPED,
    PTE_MIGRATION,
    PTE_UFFD_WP,
    PTE_WRITE,
)
from .split import split_huge_pmd, split_huge_pmd_if_needed
from .vma import (
    HUGETLB_LEVEL,
    VM_HUGEPAGE,
    VM_HUGETLB,
    VM_NOHUGEPAGE,
    VM_PFNMAP,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    Vma,
    area_of,
)
from .zap import free_pgtables, unmap_single_vma

UFFD_PROTECT = 1
UFFD_RESOLVE = 2
"""What userfaultfd has change_protection() do: MM_CP_UFFD_WP, MM_CP_UFFD_WP_RESOLVE."""
PROT_FLAGS = (0, VM_READ, VM_READ | VM_WRITE)
"""vm_flags of the three protections of a program: none, read, read and write."""


def round_out(mm: Mm, start: int, end: int) -> tuple[int, int]:
    """The range in whole pages of its area."""
    size = 1 << LEVEL_SHIFT[HUGETLB_LEVEL.get(mm.areas[area_of(start)], 1)]
    return start & -size, (end + size - 1) & -size


def split_vma(mm: Mm, vma: Vma, addr: int) -> Vma:
    """split_vma(): cuts at `addr`, after the THP that straddles it; returns the upper part."""
    split_huge_pmd_if_needed(mm, vma, addr)
    return mm.vmas.split(vma, addr)


def isolate(mm: Mm, vma: Vma, start: int, end: int) -> Vma:
    """Splits the VMA so that the part returned lies in [start, end)."""
    if vma.start < start:
        vma = split_vma(mm, vma, start)
    if end < vma.end:
        split_vma(mm, vma, end)
    return vma


def do_munmap(mm: Mm, start: int, end: int, retire: bool = True) -> None:
    """do_mas_munmap(), mmap_lock held for write: one bracket over the whole range.

    `retire`: what device memory was there goes back to the device.
    """
    vmas = [isolate(mm, vma, start, end) for vma in mm.vmas.overlapping(start, end)]
    if not vmas:
        return
    for vma in vmas:
        mm.vmas.remove(vma)
    mm.sched.touch(VMAS)
    mm.invalidate_range_start(start, end)
    for vma in vmas:
        unmap_single_vma(mm, vma, vma.start, vma.end)
    mm.invalidate_range_end(start, end)
    free_pgtables(mm, start, end)
    for vma in vmas:
        if retire and vma.flags & VM_PFNMAP:
            mm.frames.retire_device((vma.start >> 12) + vma.pfn_delta, (vma.end - vma.start) >> 12)


def munmap(mm: Mm, start: int, end: int) -> None:
    """munmap(2)."""
    start, end = round_out(mm, start, end)
    mm.mmap_lock.down_write()
    do_munmap(mm, start, end)
    mm.mmap_lock.up_write()


def mmap(mm: Mm, start: int, end: int) -> None:
    """mmap(2) with MAP_FIXED: what was there goes, then a fresh readable and writable mapping."""
    start, end = round_out(mm, start, end)
    mm.mmap_lock.down_write()
    do_munmap(mm, start, end)
    mm.sched.touch(VMAS)
    mm.vmas.insert(mm.new_vma(mm.areas[area_of(start)], start, end))
    mm.vmas.merge(start, end)
    mm.mmap_lock.up_write()


def madvise_dontneed(mm: Mm, start: int, end: int) -> None:
    """madvise(MADV_DONTNEED): one bracket a VMA; refused on device memory."""
    start, end = round_out(mm, start, end)
    mm.mmap_lock.down_read()
    for vma in mm.vmas.overlapping(start, end):
        if vma.flags & VM_PFNMAP:
            break
        first, last = max(start, vma.start), min(end, vma.end)
        mm.invalidate_range_start(first, last)
        unmap_single_vma(mm, vma, first, last)
        mm.invalidate_range_end(first, last)
    mm.mmap_lock.up_read()


def thp_advice(mm: Mm, start: int, end: int, on: bool) -> None:
    """madvise(MADV_HUGEPAGE or MADV_NOHUGEPAGE): later faults obey, nothing mapped changes."""
    mm.mmap_lock.down_write()
    changed = []
    for vma in mm.vmas.overlapping(start, end):
        if vma.flags & (VM_HUGETLB | VM_PFNMAP):
            continue
        flags = vma.flags & ~(VM_HUGEPAGE | VM_NOHUGEPAGE) | (VM_HUGEPAGE if on else VM_NOHUGEPAGE)
        if flags != vma.flags:
            vma = isolate(mm, vma, start, end)
            vma.flags = flags
            changed.append(vma)
    mm.vmas.merge_all(changed)
    mm.mmap_lock.up_write()


def mprotect(mm: Mm, start: int, end: int, prot: int) -> None:
    """mprotect(2), `prot` 0 none, 1 read, 2 read and write; stops at the first hole."""
    start, end = round_out(mm, start, end)
    mm.mmap_lock.down_write()
    reached = start
    changed = []
    for vma in mm.vmas.overlapping(start, end):
        if vma.start > reached:
            break
        reached = vma.end
        flags = vma.flags & ~(VM_READ | VM_WRITE) | PROT_FLAGS[prot]
        if flags != vma.flags:
            vma = isolate(mm, vma, start, end)
            mm.sched.touch(VMAS)
            vma.flags = flags
            change_protection(mm, vma, vma.start, vma.end)
            changed.append(vma)
    mm.vmas.merge_all(changed)
    mm.mmap_lock.up_write()


def change_protection(mm: Mm, vma: Vma, start: int, end: int, uffd: int = 0) -> None:
    """Gives entries of the VMA its permissions: a bracket for each 1G with page tables.

    `uffd`: userfaultfd write-protects them, or lets go (UFFD_PROTECT, UFFD_RESOLVE).
    """
    if vma.level > 1:
        mm.invalidate_range_start(start, end)
        for addr, level in mm.pt.mapped(start, end):
            change_huge(mm, vma, addr, level)
        mm.invalidate_range_end(start, end)
        return
    regions = mm.pt.populated(start, end)
    while regions:
        here = [index for index in regions if index >> 9 == regions[0] >> 9]
        regions = regions[len(here) :]
        first, last = max(start, here[0] << 21), min(end, (here[0] >> 9) + 1 << 30)
        mm.invalidate_range_start(first, last)
        for index in here:
            change_pmd(mm, vma, index, start, end, uffd)
        mm.invalidate_range_end(first, last)


def change_pmd(mm: Mm, vma: Vma, index: int, start: int, end: int, uffd: int) -> None:
    """change_pmd_range() of one pmd: a THP that the range holds only a part of is split.

    One that reclaim splits before it is changed is changed entry by entry.
    """
    base = index << 21
    if index in mm.pt.huge:
        if not (start <= base and base + PMD_SIZE <= end):
            split_huge_pmd(mm, max(base, start))
        elif change_huge(mm, vma, base, 2, uffd) or index not in mm.pt.tables:
            return
    mm.ptl.lock()
    for addr, _ in mm.pt.mapped(max(base, start), min(base + PMD_SIZE, end)):
        old = mm.pt.leaf(addr)[0]
        pte = modify(mm, vma, old, uffd)
        if pte & PTE_MAPPED and vma.flags & VM_WRITE and not uffd and not pte & PTE_UFFD_WP:
            # can_change_pte_writable()
            if pte & PTE_DIRTY and (vma.flags & VM_SHARED or pte & PTE_EXCLUSIVE):
                pte |= PTE_WRITE
        if pte != old:
            mm.set_pte(addr, pte)
    mm.ptl.unlock()


def change_huge(mm: Mm, vma: Vma, addr: int, level: int, uffd: int = 0) -> bool:
    """change_huge_pmd() or its hugetlb counterpart: never makes an entry writable.

    False if there is no such entry any more.
    """
    mm.ptl.lock()
    pte, found = mm.pt.leaf(addr)
    there = found == level and pte != 0
    if there:
        mm.pt.put_leaf(addr, level, modify(mm, vma, pte, uffd))
        mm.note(addr, addr + (1 << LEVEL_SHIFT[level]))
    mm.ptl.unlock()
    return there


def modify(mm: Mm, vma: Vma, pte: int, uffd: int) -> int:
    """pte_modify() with the VMA's page protection; private memory comes out read-only."""
    if uffd and not pte & PTE_HWPOISON:
        pte = pte | PTE_UFFD_WP if uffd == UFFD_PROTECT else pte & ~PTE_UFFD_WP
    if pte & PTE_MIGRATION:
        return pte & ~PTE_WRITE
    if not pte & PTE_MAPPED:
        return pte
    return mm.remap(vma, pte & ~(PTE_MAPPED | PTE_WRITE))
