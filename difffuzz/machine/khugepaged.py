# SPDX-License-Identifier: GPL-2.0-only
"""mm/khugepaged.c: replacing the 4K pages of a 2M range by a THP; madvise(MADV_COLLAPSE)."""

from __future__ import annotations

from difffuzz.facts.errno import EAGAIN, EINVAL, ENOMEM

from .collapse_file import (
    SCAN_PMD_MAPPED,
    SCAN_STOP,
    SCAN_SUCCEED,
    collapse_shmem,
    may_be_huge,
)
from .fault import handle_mm_fault
from .frames import ZERO_PFN
from .mm import Mm
from .pte import (
    PMD_PAGES,
    PMD_SIZE,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_EXCLUSIVE,
    PTE_HUGE,
    PTE_MAPPED,
    PTE_PRESENT,
    PTE_SWAP,
    PTE_UFFD_WP,
    PTE_WRITE,
)
from .vma import UFFD_FLAGS, VM_READ, VM_WRITE, Vma


def thp_collapse(mm: Mm, addr: int) -> bool:
    """khugepaged at the 2M around `addr`; True if a THP is mapped there now.

    The bracket ends when the pmd is clear and before the pages are copied: until the THP is mapped,
    mmap_lock held for write is what keeps faults out.
    """
    base = addr & -PMD_SIZE
    mm.mmap_lock.down_read()
    vma = collapsible_vma(mm, base)
    ready = vma is not None and swap_in_range(mm, vma, base) and isolate(mm, vma, base)
    mm.mmap_lock.up_read()
    if not ready:
        return False
    mm.mmap_lock.down_write()
    vma = collapsible_vma(mm, base)
    done = vma is not None and collapse_huge_page(mm, vma, base)
    mm.mmap_lock.up_write()
    return done


def madvise_collapse(mm: Mm, start: int, end: int) -> int:
    """madvise(MADV_COLLAPSE): 0 if every whole 2M of the range is mapped by a THP now.

    -EINVAL or -EAGAIN: why the last that is not could not be.  It ends with the first VMA of which
    a 2M could not, or in which none may be; -ENOMEM: all is well but for a hole in the range.
    """
    mm.mmap_lock.down_read()
    vmas = mm.vmas.overlapping(start, end)
    mm.mmap_lock.up_read()
    parts = [(max(start, vma.start), min(end, vma.end)) for vma in vmas]
    for first, last in parts:
        answer = collapse_vma(mm, first, last)
        if answer:
            return answer
    return 0 if sum(last - first for first, last in parts) == end - start else -ENOMEM


def collapse_vma(mm: Mm, start: int, end: int) -> int:
    """madvise_collapse() of the part [start, end) of one VMA."""
    first, last = (start + PMD_SIZE - 1) & -PMD_SIZE, end & -PMD_SIZE
    vma = mm.vmas.find(start)
    if vma is None or not may_collapse(vma):
        return -EINVAL
    answer = 0 if first <= last else -EINVAL
    for base in range(first, last, PMD_SIZE):
        mm.mmap_lock.down_read()
        vma = mm.vmas.find(base)
        result = SCAN_STOP
        shmem = may_be_huge(vma, base)
        if vma is not None and vma.thp_allowed(base):
            result = scan_pmd(mm, vma, base)
        mm.mmap_lock.up_read()
        if shmem:
            result = collapse_shmem(mm, base)
        elif result == SCAN_SUCCEED:
            result = SCAN_SUCCEED if thp_collapse(mm, base) else scan_again(mm, vma, base)
        if result == SCAN_STOP:
            return -EINVAL
        if result not in (SCAN_SUCCEED, SCAN_PMD_MAPPED):
            answer = result
    return answer


def may_collapse(vma: Vma) -> bool:
    """Is there anything in the VMA that could be huge?"""
    if vma.is_shmem:
        return may_be_huge(vma, vma.end - PMD_SIZE)
    return vma.anonymous and vma.thp_allowed(vma.end - PMD_SIZE) and vma.anon_vma


def scan_pmd(mm: Mm, vma: Vma, base: int) -> int:
    """hpage_collapse_scan_pmd() but for khugepaged's own limits."""
    if mm.pt.huge.get(base >> 21, 0) & PTE_MAPPED:
        return SCAN_PMD_MAPPED
    table = mm.pt.tables.get(base >> 21)
    if table is None:
        return -EINVAL
    if is_for_monitor(vma, table):
        return SCAN_STOP
    writable = False
    for _, pte in sorted(table.items()):
        if pte & PTE_UFFD_WP:
            return -EINVAL
        if not pte & PTE_MAPPED or pte >> 12 == ZERO_PFN:
            continue
        if mm.frames.folio_pins(pte >> 12):
            return -EAGAIN
        writable |= bool(pte & PTE_WRITE)
    return SCAN_SUCCEED if writable else -EINVAL


def scan_again(mm: Mm, vma: Vma | None, base: int) -> int:
    """Why a range that looked well did not collapse: a page that cannot be read in, or a race."""
    result = SCAN_STOP if vma is None else scan_pmd(mm, vma, base)
    return SCAN_STOP if result == SCAN_SUCCEED else result


def collapsible_vma(mm: Mm, base: int) -> Vma | None:
    """The VMA, if a THP may lie there and a page table does (hugepage_vma_revalidate())."""
    vma = mm.vmas.find(base)
    if vma is None or not vma.thp_allowed(base) or not vma.anon_vma or not vma.flags & VM_READ:
        return None
    return vma if base >> 21 in mm.pt.tables else None


def swap_in_range(mm: Mm, vma: Vma, base: int) -> bool:
    """Faults swapped pages in; False if an entry is neither none, present nor swapped."""
    for vpn, pte in sorted(mm.pt.tables.get(base >> 21, {}).items()):
        if pte & PTE_UFFD_WP:
            return False
        if pte & PTE_SWAP:
            if handle_mm_fault(mm, vma, vpn << 12, False):
                return False
        elif not pte & PTE_MAPPED:
            return False
    return True


def isolate(mm: Mm, vma: Vma, base: int) -> bool:
    """True if every page can move: nothing pinned, and at least one entry is writable."""
    return isolate_table(mm, vma, mm.pt.tables.get(base >> 21, {}))


def isolate_table(mm: Mm, vma: Vma, table: dict[int, int]) -> bool:
    """__collapse_huge_page_isolate()."""
    if is_for_monitor(vma, table):
        return False
    writable = False
    for pte in table.values():
        if not pte & PTE_MAPPED or pte & PTE_UFFD_WP:
            return False
        if pte >> 12 != ZERO_PFN and mm.frames.folio_pins(pte >> 12):
            return False
        writable |= bool(pte & PTE_WRITE)
    return writable


def is_for_monitor(vma: Vma, table: dict[int, int]) -> bool:
    """True if a page is missing that only the monitor of a userfaultfd may bring."""
    if not vma.flags & UFFD_FLAGS:
        return False
    return len(table) < PMD_PAGES or any(pte >> 12 == ZERO_PFN for pte in table.values())


def collapse_huge_page(mm: Mm, vma: Vma, base: int) -> bool:
    """collapse_huge_page() after the allocation, mmap_lock held for write.

    The anon_vma lock, which keeps rmap walks (migration, splitting, reclaim) out while the pmd is
    clear, and the folio locks of the pages are both `page_lock` here.
    """
    mm.page_lock.lock()
    done = replace_table(mm, vma, base)
    mm.page_lock.unlock()
    return done


def replace_table(mm: Mm, vma: Vma, base: int) -> bool:
    """Clears the pmd, takes the pages off their table and maps the huge page, or puts it back."""
    index = base >> 21
    if index not in mm.pt.tables:
        return False
    mm.invalidate_range_start(base, base + PMD_SIZE)
    mm.ptl.lock()
    table = mm.pt.tables.pop(index)
    mm.note(base, base + PMD_SIZE)
    mm.ptl.unlock()
    mm.invalidate_range_end(base, base + PMD_SIZE)
    if not isolate_table(mm, vma, table):
        mm.pt.tables[index] = table
        mm.note(base, base + PMD_SIZE)
        return False
    head = mm.frames.alloc(PMD_PAGES)
    for vpn, pte in table.items():
        if pte >> 12 != ZERO_PFN:
            value = mm.frames.data(pte >> 12)
            if value:
                mm.frames.set_data(head + vpn % PMD_PAGES, value)
            mm.unmap_entry(vpn << 12, 1, pte)
    flags = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_HUGE | PTE_EXCLUSIVE
    if vma.flags & VM_WRITE:
        flags |= PTE_WRITE
    mm.point()
    mm.ptl.lock()
    mm.pt.set_huge(index, head << 12 | flags)
    mm.note(base, base + PMD_SIZE)
    mm.ptl.unlock()
    return True
