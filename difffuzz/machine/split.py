# SPDX-License-Identifier: GPL-2.0-only
"""mm/huge_memory.c: splitting a THP, only in the page table or the page itself."""

from __future__ import annotations

from .frames import Run
from .mm import Mm
from .pagetable import PAGE_FLAGS, VMAS
from .pte import (
    PMD_PAGES,
    PMD_SIZE,
    PTE_DIRTY,
    PTE_FLAGS,
    PTE_HUGE,
    PTE_MAPPED,
    PTE_MIGRATION,
)
from .vma import AREA_FLAGS, AREA_PAGES, VM_SHARED, Vma, area_base, area_of


def split_huge_pmd(mm: Mm, addr: int, freeze: int = -1) -> None:
    """__split_huge_pmd(): the 2M entry becomes 512 entries of the same pages.

    The notifiers are called even if there is no huge entry.  With `freeze`, the head of the only
    huge page that is to be split, the new entries are migration entries.  A dirty entry makes the
    page dirty, and the new ones are clean.
    """
    base = addr & -PMD_SIZE
    mm.invalidate_range_start(base, base + PMD_SIZE)
    mm.ptl.lock()
    pte = mm.pt.huge.get(base >> 21, 0)
    if pte and freeze in (-1, pte >> 12):
        del mm.pt.huge[base >> 21]
        if is_shared(mm, base):
            mm.unmap_entry(base, 2, pte)  # what is shared is found again in the page cache
            pte = 0
            mm.note(base, base + PMD_SIZE)
    if pte and freeze in (-1, pte >> 12):
        pte &= ~PTE_HUGE
        if pte & PTE_MAPPED and pte & PTE_DIRTY:
            mm.frames.mark_dirty(pte >> 12)
            if freeze < 0:
                pte &= ~PTE_DIRTY
        if freeze >= 0:
            pte = pte & ~PTE_MAPPED | PTE_MIGRATION
        vpn = base >> 12
        vpns = range(vpn, vpn + PMD_PAGES)
        mm.pt.tables[base >> 21] = dict(zip(vpns, range(pte, pte + PMD_SIZE, 4096), strict=True))
        mm.note(base, base + PMD_SIZE)
    mm.ptl.unlock()
    mm.invalidate_range_end(base, base + PMD_SIZE)


def is_shared(mm: Mm, addr: int) -> bool:
    """True if the area is shared memory."""
    return bool(AREA_FLAGS[mm.areas[area_of(addr)]] & VM_SHARED)


def split_huge_pmd_if_needed(mm: Mm, vma: Vma, addr: int) -> None:
    """vma_adjust_trans_huge(): an end of a VMA is about to move to `addr`."""
    base = addr & -PMD_SIZE
    if addr != base and vma.contains(base, base + PMD_SIZE) and addr >> 30 in mm.pt.pmd_pages:
        split_huge_pmd(mm, addr)


def remove_migration_pte(mm: Mm, addr: int, old: int, new: int) -> bool:
    """Maps page `new` where a migration entry of the 4K page `old` still is; under `ptl`."""
    table = mm.pt.tables.get(addr >> 21)
    pte = table.get(addr >> 12, 0) if table is not None else 0
    if not pte & PTE_MIGRATION or pte >> 12 != old:
        return False
    mm.sched.touch(VMAS, False)
    mm.set_pte(addr, new << 12 | mm.remap(mm.vmas.find(addr), pte & PTE_FLAGS & ~PTE_MIGRATION))
    return True


def split_huge_page(mm: Mm, addr: int) -> bool:
    """split_huge_page(): the THP mapped at `addr` becomes 512 independent pages.

    False, with nothing changed, if anybody holds a reference besides the mappings.  The caller
    holds `page_lock`.
    """
    run = mm.frames.run(mm.pt.page(addr) >> 12)
    assert run is not None
    if run.split:
        return True
    if run.pins:
        return False
    if is_shared(mm, addr):
        return split_shmem_folio(mm, addr & -PMD_SIZE, run)
    mm.child_split(run.head)
    here = (addr & -4096) - ((mm.pt.page(addr) >> 12) - run.head << 12)
    bases = [here, *sorted(base for base in run.moved if base != here)]
    for base in bases:
        if base == here or mapped_pages(mm, run, base):
            unmap_folio(mm, run, base)
    if run.pins == 0:
        mm.sched.touch((PAGE_FLAGS, run.head))
        mm.frames.split_run(run)
    mm.ptl.lock()
    for base in bases:
        for i in range(PMD_PAGES):
            pfn = run.head + i
            remove_migration_pte(mm, base + (i << 12), pfn, pfn)
    mm.ptl.unlock()
    return run.split


def split_shmem_folio(mm: Mm, base: int, run: Run) -> bool:
    """The same for a huge page of the page cache: its entries go, and are not put back."""
    if run.split:
        return True
    if run.pins:
        return False
    split_huge_pmd(mm, base)
    mm.invalidate_range_start(base, base + PMD_SIZE)
    mm.ptl.lock()
    for addr in mapped_pages(mm, run, base):
        pte = mm.pt.leaf(addr)[0]
        mm.set_pte(addr, 0)
        mm.unmap_entry(addr, 1, pte)
    mm.ptl.unlock()
    mm.invalidate_range_end(base, base + PMD_SIZE)
    # A fault that mapped it meanwhile as a whole has a reference.
    whole = mm.pt.huge.get(base >> 21, 0) >> 12 == run.head
    if not whole and run.pins == 0:
        mm.sched.touch((PAGE_FLAGS, run.head))
        mm.frames.split_run(run)
    return run.split


def folio_range(base: int) -> tuple[int, int]:
    """The hvas of a THP whose first page would be at `base`, which may be before the area: mremap
    moves pages one by one."""
    area = area_base(area_of(base + PMD_SIZE - 1))
    return max(base, area), min(base + PMD_SIZE, area + (AREA_PAGES << 12))


def mapped_pages(mm: Mm, run: Run, base: int) -> list[int]:
    """The hvas of the entries, seen from `base`, that map pages of the THP."""
    found = []
    for addr, level in mm.pt.mapped(*folio_range(base)):
        pte = mm.pt.leaf(addr)[0]
        if level == 1 and pte & PTE_MAPPED and pte >> 12 == run.head + (addr - base >> 12):
            found.append(addr)
    return found


def unmap_folio(mm: Mm, run: Run, base: int) -> None:
    """try_to_migrate() of a THP at one place: all its entries become migration entries."""
    start, end = folio_range(base)
    if base % PMD_SIZE == 0:
        split_huge_pmd(mm, base, freeze=run.head)
    mm.invalidate_range_start(start, end)
    mm.ptl.lock()
    for addr in mapped_pages(mm, run, base):
        mm.set_pte(addr, mm.pt.leaf(addr)[0] & ~PTE_MAPPED | PTE_MIGRATION)
    mm.ptl.unlock()
    mm.invalidate_range_end(start, end)
