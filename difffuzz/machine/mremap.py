# SPDX-License-Identifier: GPL-2.0-only
"""mm/mremap.c: part of an area moves to another address in it, with its pages.

What was at the new address goes first, in a bracket of its own; the page tables move in a second
one, over the old range; what is left there goes in a third.  KVM hears nothing of the new place:
nothing is mapped there.  Differences from Linux 6.1: memory that several may share does not move,
for the page cache is by address here; whole gigabytes move 2M at a time, in the same bracket; and
the locks of the reverse map (`page_lock`) are always taken.
"""

from __future__ import annotations

from difffuzz.facts.errno import EFAULT, EINVAL

from .ksm import break_ksm
from .mm import Mm
from .mmap import do_munmap
from .pagetable import VMAS
from .pte import LEVEL_SHIFT, PMD_SIZE, PTE_MAPPED, PTE_UFFD_WP
from .split import split_huge_pmd
from .vma import UFFD_FLAGS, VM_PFNMAP, VM_SHARED, Vma


def mremap(mm: Mm, start: int, end: int, to: int, dontunmap: bool) -> int:
    """mremap(2) with MREMAP_FIXED; the new place is as large.  0, -EFAULT or -EINVAL."""
    mm.mmap_lock.down_write()
    answer = mremap_to(mm, start, end - start, to, dontunmap)
    mm.mmap_lock.up_write()
    return answer


def mremap_to(mm: Mm, start: int, length: int, to: int, dontunmap: bool) -> int:
    """The checks, in their order: the new place is unmapped before the old one is looked at."""
    vma = mm.vmas.find(start)
    if vma is None:
        return -EFAULT
    size = 1 << LEVEL_SHIFT[vma.level]
    length = (length + size - 1) & -size
    if start % size or to % size or (vma.flags & VM_SHARED and not vma.flags & VM_PFNMAP):
        return -EINVAL
    if start < to + length and to < start + length:
        return -EINVAL
    do_munmap(mm, to, to + length)
    vma = mm.vmas.find(start)
    assert vma is not None
    if dontunmap and (vma.level > 1 or vma.flags & VM_PFNMAP):
        return -EINVAL
    if length > vma.end - start:
        return -EFAULT
    move_vma(mm, vma, start, start + length, to, dontunmap)
    return 0


def move_vma(mm: Mm, vma: Vma, start: int, end: int, to: int, dontunmap: bool) -> None:
    """Moves the part [start, end) of the VMA; with `dontunmap` the old range stays, empty."""
    unmerge_ksm_pages(mm, start, end)
    mm.sched.touch(VMAS)
    # A userfaultfd does not follow.
    flags = vma.flags & ~UFFD_FLAGS
    new = Vma(to, to + end - start, flags, vma.level, vma.pfn_delta)
    if vma.anon_vma or not vma.anonymous:
        new.pfn_delta += start - to >> 12  # vm_pgoff stays
    new.anon_vma = vma.anon_vma
    mm.vmas.insert(new)
    mm.page_lock.lock()
    if vma.level > 1:
        move_hugetlb_page_tables(mm, start, end, to, LEVEL_SHIFT[vma.level])
    else:
        move_page_tables(mm, start, end, to, flags == vma.flags)
    mm.page_lock.unlock()
    if not dontunmap:
        do_munmap(mm, start, end, retire=False)
    elif (vma.start, vma.end) == (start, end):
        vma.anon_vma = False
    mm.vmas.merge(to, to + end - start)


def unmerge_ksm_pages(mm: Mm, start: int, end: int) -> None:
    """ksm_madvise(MADV_UNMERGEABLE)."""
    if mm.ksm:
        for addr, level in mm.pt.mapped(start, end):
            if level == 1 and mm.pt.page(addr) >> 12 in mm.ksm:
                break_ksm(mm, addr)


def move_page_tables(mm: Mm, start: int, end: int, to: int, whole: bool) -> None:
    """2M at a time: a whole page table or THP where both ends are aligned, else entry by entry.

    `whole`: page tables may move as they are; under a userfaultfd their entries change.
    """
    mm.invalidate_range_start(start, end)
    old = start
    while old < end:
        new = to + old - start
        step = min(PMD_SIZE - old % PMD_SIZE, PMD_SIZE - new % PMD_SIZE, end - old)
        if old >> 21 in mm.pt.huge:
            if step == PMD_SIZE:
                move_huge_pmd(mm, old, new)
            else:
                split_huge_pmd(mm, old)
                move_ptes(mm, old, old + step, new)
        elif old >> 21 in mm.pt.tables:
            if step == PMD_SIZE and whole:
                move_normal_pmd(mm, old, new)
            else:
                move_ptes(mm, old, old + step, new)
        old += step
    mm.invalidate_range_end(start, end)


def note_both(mm: Mm, old: int, new: int, size: int) -> None:
    """Entries of both ranges changed."""
    mm.note(old, old + size)
    mm.note(new, new + size)


def move_huge_pmd(mm: Mm, old: int, new: int) -> None:
    """A THP keeps its entry."""
    mm.ptl.lock()
    mm.pt.set_huge(new >> 21, mm.pt.huge.pop(old >> 21) & ~PTE_UFFD_WP)
    note_both(mm, old, new, PMD_SIZE)
    mm.ptl.unlock()


def move_normal_pmd(mm: Mm, old: int, new: int) -> None:
    """A page table as it is."""
    mm.ptl.lock()
    entries = mm.pt.tables.pop(old >> 21)
    mm.pt.table(new >> 21).update({vpn + (new - old >> 12): pte for vpn, pte in entries.items()})
    for vpn, pte in entries.items():
        note_moved(mm, pte, vpn << 12, new + (vpn << 12) - old)
    note_both(mm, old, new, PMD_SIZE)
    mm.ptl.unlock()


def move_ptes(mm: Mm, old: int, end: int, new: int) -> None:
    """The entries of [old, end), which lie in one table here and there."""
    mm.ptl.lock()
    mm.pt.table(new >> 21)
    for addr, _ in mm.pt.mapped(old, end):
        pte = mm.pt.leaf(addr)[0]
        mm.set_pte(addr, 0)
        mm.set_pte(new + addr - old, pte & ~PTE_UFFD_WP)
        note_moved(mm, pte, addr, new + addr - old)
    mm.ptl.unlock()


def note_moved(mm: Mm, pte: int, old: int, new: int) -> None:
    """The reverse map: where a part of a THP is, and a KSM page that could not be copied."""
    if not pte & PTE_MAPPED:
        return
    pfn = pte >> 12
    run = mm.frames.run(pfn)
    if run is not None and not run.split:
        run.moved |= {old - (pfn - run.head << 12), new - (pfn - run.head << 12)}
    vpns = mm.ksm.get(pfn)
    if vpns is not None and old >> 12 in vpns:
        vpns.remove(old >> 12)
        vpns.add(new >> 12)


def move_hugetlb_page_tables(mm: Mm, start: int, end: int, to: int, shift: int) -> None:
    """The huge pages of [start, end), each under the page table lock."""
    mm.invalidate_range_start(start, end)
    for addr, level in mm.pt.mapped(start, end):
        mm.ptl.lock()
        pte, new = mm.pt.leaf(addr)[0], to + addr - start
        mm.pt.put_leaf(addr, level, 0)
        if level == 2:
            mm.pt.set_huge(new >> 21, pte)
        else:
            mm.pt.gig[new >> 30] = pte
        note_both(mm, addr, new, 1 << shift)
        mm.ptl.unlock()
    mm.invalidate_range_end(start, end)
