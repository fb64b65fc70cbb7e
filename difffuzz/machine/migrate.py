# SPDX-License-Identifier: GPL-2.0-only
"""mm/migrate.c: moving pages to other frames.

While a page moves, its entries are migration entries: faults wait on the page lock.  The bracket
covers only the unmapping; mapping the new page needs no notifier.  A pinned page stays where it is.
"""

from __future__ import annotations

from .mm import Mm
from .mmap import round_out
from .pagetable import PAGE_FLAGS, VMAS
from .pte import (
    LEVEL_SHIFT,
    PMD_PAGES,
    PTE_FLAGS,
    PTE_HUGE,
    PTE_MAPPED,
    PTE_MIGRATION,
    PTE_SPECIAL,
    PUD_PAGES,
)
from .split import remove_migration_pte

PAGES = (0, 1, PMD_PAGES, PUD_PAGES)


def migrate(mm: Mm, start: int, end: int) -> None:
    """move_pages(2), or compaction, of what is mapped in the range."""
    start, end = round_out(mm, start, end)
    for addr, level in mm.pt.mapped(start, end):
        migrate_page(mm, addr, level)


def rmap_addresses(mm: Mm, addr: int, pfn: int) -> list[int]:
    """Every hva that maps the page: several for a KSM page."""
    vpns = mm.ksm.get(pfn)
    return [vpn << 12 for vpn in sorted(vpns)] if vpns else [addr]


def migrate_page(mm: Mm, addr: int, level: int) -> bool:
    """unmap_and_move() of the page at `addr`; False if it is no page that can move."""
    mm.page_lock.lock()
    pte, found = mm.pt.leaf(addr)
    movable = found == level and pte & PTE_MAPPED and not pte & PTE_SPECIAL
    if movable and level == 1 and addr >> 12 in mm.page_cache:
        # Linux moves the whole huge page; here it stays where it is if it is mapped in parts.
        run = mm.frames.run(pte >> 12)
        movable = run is None or run.split
    if movable:
        addrs = rmap_addresses(mm, addr, pte >> 12)
        for each in addrs:
            try_to_migrate(mm, each, level, pte >> 12)
        mm.point()
        move_to_new_folio(mm, addrs, level, pte >> 12)
    mm.page_lock.unlock()
    return bool(movable)


def try_to_migrate(mm: Mm, addr: int, level: int, pfn: int) -> None:
    """Turns the entry into a migration entry inside its own bracket."""
    end = addr + (1 << LEVEL_SHIFT[level])
    mm.invalidate_range_start(addr, end)
    mm.ptl.lock()
    pte, found = mm.pt.leaf(addr)
    if found == level and pte & PTE_MAPPED and pte >> 12 == pfn:
        mm.pt.put_leaf(addr, level, pte & ~PTE_MAPPED | PTE_MIGRATION)
        mm.note(addr, end)
    mm.ptl.unlock()
    mm.invalidate_range_end(addr, end)


def move_to_new_folio(mm: Mm, addrs: list[int], level: int, old: int) -> None:
    """Copies the page and maps the copy, or the page itself again if somebody has it pinned."""
    frames = mm.frames
    split = level == 2 and addrs[0] >> 21 in mm.pt.tables
    if not split and not frames.page_count(old):
        return  # unmapped meanwhile
    run = frames.run(old) if level > 1 else None
    if split or (run.pins if run is not None else frames.pins(old)):
        for addr in addrs:
            mm.ptl.lock()
            remove_migration_entry(mm, addr, level, old, old)
            mm.ptl.unlock()
        return
    new = frames.alloc(PAGES[level])
    if level > 1:
        frames.copy_run(old, new)
    else:
        frames.set_data(new, frames.data(old))
    mm.sched.touch((PAGE_FLAGS, frames.folio(old)))
    frames.copy_flags(old, new)
    move_other_owners(mm, addrs[0], level, old, new)
    for addr in addrs:
        mm.ptl.lock()
        if remove_migration_entry(mm, addr, level, old, new):
            if level > 1:
                frames.map_run(new)
            else:
                frames.map_page(new)
            if old in mm.ksm:
                mm.ksm.setdefault(new, set()).add(addr >> 12)
            mm.unmap_entry(addr, level, old << 12)
        mm.ptl.unlock()
    if level > 1:
        frames.unmap_run(new)
    else:
        frames.unmap_page(new)


def move_other_owners(mm: Mm, addr: int, level: int, old: int, new: int) -> None:
    """The child and the page cache follow the page."""
    count = mm.child_unmap(old, level)
    if count:
        child = mm.child_runs if level > 1 else mm.child_pages
        child[new] = count
        for _ in range(count):
            if level > 1:
                mm.frames.map_run(new)
            else:
                mm.frames.map_page(new)
    cached = mm.page_cache.get(addr >> 12, 0)
    if level == 2 and cached & PTE_MAPPED and cached >> 12 == old:
        for page in range(PMD_PAGES):
            mm.page_cache[(addr >> 12) + page] = new + page << 12 | cached & PTE_FLAGS
        mm.frames.map_run(new)
        mm.frames.unmap_run(old)
    if level == 1 and cached & PTE_MAPPED and cached >> 12 == old:
        mm.page_cache[addr >> 12] = new << 12 | cached & PTE_FLAGS
        mm.frames.map_page(new)
        mm.frames.unmap_page(old)


def remove_migration_entry(mm: Mm, addr: int, level: int, old: int, new: int) -> bool:
    """Maps `new` where the migration entry of `old` still is; True if it was; under `ptl`.

    A huge entry that was split meanwhile gets its own pages back, as if the migration had failed.
    """
    if level == 1:
        return remove_migration_pte(mm, addr, old, new)
    if level == 2 and addr >> 21 in mm.pt.tables:
        for page in range(PMD_PAGES):
            remove_migration_pte(mm, addr + (page << 12), old + page, old + page)
        return False
    pte, found = mm.pt.leaf(addr)
    if found != level or not pte & PTE_MIGRATION or pte >> 12 != old:
        return False
    mm.sched.touch(VMAS, False)
    flags = mm.remap(mm.vmas.find(addr), pte & PTE_FLAGS & ~PTE_MIGRATION)
    mm.pt.put_leaf(addr, level, new << 12 | flags | PTE_HUGE)
    mm.note(addr, addr + (1 << LEVEL_SHIFT[level]))
    return True
