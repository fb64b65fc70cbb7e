# SPDX-License-Identifier: GPL-2.0-only
"""mm/vmscan.c, mm/rmap.c: reclaiming pages.

Anonymous memory and shmem go to swap; a page that is pinned is unmapped but stays in the swap
cache, so that the next fault finds the same frame.  What is clean is dropped: pages that were freed
lazily, of shmem, of a file on a disk, which keeps those that are dirty.  Whether a page is clean
depends on what KVM told of it.  Hugetlb and device memory is not reclaimed.
"""

from __future__ import annotations

from .migrate import rmap_addresses
from .mm import Mm, SwapSlot
from .pagetable import HOST_PAGE_TABLE, PAGE_FLAGS, VMAS
from .pte import (
    PMD_SIZE,
    PTE_DIRTY,
    PTE_EXCLUSIVE,
    PTE_MAPPED,
    PTE_SPECIAL,
    PTE_SWAP,
    PTE_UFFD_WP,
)
from .split import split_huge_page, split_huge_pmd, split_shmem_folio
from .vma import AREA_FLAGS, VM_FILE, VM_SHARED, area_of

DIGEST = (1 << 62) - 1


def swap_out(mm: Mm, start: int, end: int) -> int:
    """The reclaim of just these pages, whoever maps them besides.

    Which pages were dropped that were freed lazily, as one number; 0 for none.
    """
    dropped: list[int] = []
    shrink_range(mm, start, end, dropped)
    return digest_of(dropped)


def digest_of(dropped: list[int]) -> int:
    """Addresses of pages, as one number; 0 for none."""
    digest = 0
    for addr in dropped:
        digest = (digest * 1000003 + (addr >> 12)) & DIGEST
    return digest


def shrink_range(mm: Mm, start: int, end: int, dropped: list[int]) -> None:
    """Reclaims what is mapped; `dropped` grows by the addresses of what is lost by right."""
    for addr, level in mm.pt.mapped(start, end):
        mm.sched.touch(VMAS, False)
        vma = mm.vmas.find(addr)
        if vma is None or vma.level > 1:
            continue
        mm.page_lock.lock()
        if level > 1 and vma.flags & VM_SHARED:
            reclaim_shmem_folio(mm, addr, max(addr, start), min(addr + PMD_SIZE, end))
        elif level == 1:
            reclaim(mm, addr, dropped)
        elif start <= addr and addr + PMD_SIZE <= end:
            reclaim_thp(mm, addr, dropped)
        elif mm.pt.huge.get(addr >> 21, 0) & PTE_MAPPED and split_huge_page(mm, addr):
            for part in range(max(addr, start), min(addr + PMD_SIZE, end), 4096):
                reclaim(mm, part, dropped)
        mm.page_lock.unlock()


def reclaim_shmem_folio(mm: Mm, base: int, start: int, end: int) -> None:
    """A huge page of the page cache is split, which unmaps it; then those of the range go."""
    cached = mm.page_cache.get(base >> 12, 0)
    run = mm.frames.run(cached >> 12) if cached & PTE_MAPPED else None
    if run is None or not split_shmem_folio(mm, base, run):
        return
    for addr in range(start, end, 4096):
        cached = mm.page_cache.get(addr >> 12, 0)
        if cached & PTE_MAPPED:
            drop_cached(mm, addr, cached >> 12)


def reclaim_thp(mm: Mm, base: int, dropped: list[int]) -> None:
    """Swaps or drops a whole THP: the pmd is split first, then all entries go in one bracket."""
    mm.sched.touch(HOST_PAGE_TABLE, False)
    if not mm.pt.huge.get(base >> 21, 0) & PTE_MAPPED:
        return
    split_huge_pmd(mm, base)
    mm.invalidate_range_start(base, base + PMD_SIZE)
    slots = {}
    for addr, _ in mm.pt.mapped(base, base + PMD_SIZE):
        pfn = mm.pt.leaf(addr)[0] >> 12
        if mm.frames.run(pfn) is None:
            continue
        if mm.frames.folio(pfn) in mm.frames.lazyfree:
            if not discard(mm, addr, pfn):
                break
            dropped.append(addr)
        else:
            slots[pfn] = try_to_unmap_one(mm, addr, pfn, 0)
    mm.invalidate_range_end(base, base + PMD_SIZE)
    for pfn, slot in slots.items():
        if slot:
            unmap_child(mm, pfn, slot)
            write_out(mm, slot)


def reclaim(mm: Mm, addr: int, dropped: list[int]) -> None:
    """shrink_folio_list() of the 4K page at `addr`."""
    pte, level = mm.pt.leaf(addr)
    if level != 1 or not pte & PTE_MAPPED or pte & PTE_SPECIAL:
        return
    pfn = pte >> 12
    mm.sched.touch(VMAS, False)
    vma = mm.vmas.find(addr)
    if vma is None:
        return
    run = mm.frames.run(pfn)
    if vma.flags & VM_SHARED:
        if run is not None and not run.split:
            reclaim_shmem_folio(mm, addr & -PMD_SIZE, addr, addr + 4096)
        else:
            reclaim_shared(mm, addr, pfn)
        return
    if mm.frames.folio(pfn) in mm.frames.lazyfree:
        reclaim_lazyfree(mm, addr, pfn, dropped)
        return
    if run is not None and not run.split:
        mm.child_split(pfn)
    slot = 0
    for each in rmap_addresses(mm, addr, pfn):
        mm.invalidate_range_start(each, each + 4096)
        slot = try_to_unmap_one(mm, each, pfn, slot)
        mm.invalidate_range_end(each, each + 4096)
    if slot:
        unmap_child(mm, pfn, slot)
        write_out(mm, slot)


def reclaim_lazyfree(mm: Mm, addr: int, pfn: int, dropped: list[int]) -> None:
    """A page that was freed lazily: a huge one that no pmd maps is split first."""
    run = mm.frames.run(pfn)
    if run is not None and not run.split and not split_huge_page(mm, addr):
        return
    gone = True
    for each in rmap_addresses(mm, addr, pfn):
        mm.invalidate_range_start(each, each + 4096)
        gone = discard(mm, each, pfn)
        mm.invalidate_range_end(each, each + 4096)
        if not gone:
            return
        dropped.append(each)
    mm.child_unmap(pfn, 1)


def discard(mm: Mm, addr: int, pfn: int) -> bool:
    """try_to_unmap_one() of a page that was freed lazily: drops it if it is clean.

    False if it is not, or if somebody holds it: then it is an ordinary page from now on.
    """
    frames = mm.frames
    gone = True
    mm.ptl.lock()
    pte, level = mm.pt.leaf(addr)
    if level == 1 and pte & PTE_MAPPED and pte >> 12 == pfn:
        if pte & PTE_DIRTY:
            frames.mark_dirty(pfn)
        folio = frames.folio(pfn)
        mm.sched.touch((PAGE_FLAGS, folio))
        gone = not frames.folio_pins(pfn) and folio not in frames.dirty
        if gone:
            mm.set_pte(addr, 0)
            mm.unmap_entry(addr, 1, pte)
        else:
            frames.lazyfree.discard(folio)
    mm.ptl.unlock()
    return gone


def try_to_unmap_one(mm: Mm, addr: int, pfn: int, slot: int) -> int:
    """The entry becomes a swap entry (of a new slot if `slot` is 0); returns the slot, or 0."""
    mm.ptl.lock()
    pte, level = mm.pt.leaf(addr)
    if level == 1 and pte & PTE_MAPPED and pte >> 12 == pfn:
        if not slot:
            slot = mm.next_slot
            mm.next_slot += 1
            mm.swap[slot] = SwapSlot(0, mm.frames.data(pfn), pfn)
            mm.frames.map_page(pfn)
        mm.swap[slot].count += 1
        mm.set_pte(addr, slot << 12 | PTE_SWAP | pte & (PTE_EXCLUSIVE | PTE_UFFD_WP))
        mm.unmap_entry(addr, 1, pte)
    mm.ptl.unlock()
    return slot


def unmap_child(mm: Mm, pfn: int, slot: int) -> None:
    """The child's entries become swap entries too."""
    count = mm.child_unmap(pfn, 1)
    if count and slot in mm.swap:
        mm.swap[slot].count += count
        mm.child_swap[slot] = mm.child_swap.get(slot, 0) + count


def write_out(mm: Mm, number: int) -> None:
    """Writes the page and drops it from the swap cache, unless somebody else refers to it."""
    slot = mm.swap.get(number)
    if slot is None or slot.cached < 0:
        return
    pfn = slot.cached
    slot.data = mm.frames.data(pfn)
    if mm.frames.page_count(pfn) == 1:
        slot.cached = -1
        mm.frames.unmap_page(pfn)


def reclaim_shared(mm: Mm, addr: int, pfn: int) -> None:
    """A page of a file: the entry is cleared; the page is dropped if it is clean.

    If it is not, the page cache gets a swap entry for shmem, and keeps a page of a disk: only
    kswapd writes that.
    """
    unmap_cached(mm, addr, pfn)
    drop_cached(mm, addr, pfn)


def unmap_cached(mm: Mm, addr: int, pfn: int) -> None:
    """try_to_unmap() of a page of the page cache: its entry is cleared, if it has one."""
    mm.invalidate_range_start(addr, addr + 4096)
    mm.ptl.lock()
    pte, level = mm.pt.leaf(addr)
    if level == 1 and pte & PTE_MAPPED and pte >> 12 == pfn:
        mm.set_pte(addr, 0)
        mm.unmap_entry(addr, 1, pte)
    mm.ptl.unlock()
    mm.invalidate_range_end(addr, addr + 4096)


def drop_cached(mm: Mm, addr: int, pfn: int) -> None:
    """The page, which nothing maps, goes from the page cache if nobody holds it."""
    cached = mm.page_cache.get(addr >> 12, 0)
    if not cached & PTE_MAPPED or cached >> 12 != pfn or mm.frames.page_count(pfn) != 1:
        return
    mm.sched.touch((PAGE_FLAGS, pfn))
    if pfn not in mm.frames.dirty:
        del mm.page_cache[addr >> 12]
        mm.frames.unmap_page(pfn)
    elif not AREA_FLAGS[mm.areas[area_of(addr)]] & VM_FILE:
        number = mm.next_slot
        mm.next_slot += 1
        mm.swap[number] = SwapSlot(1, mm.frames.data(pfn), -1)
        mm.page_cache[addr >> 12] = number << 12 | PTE_SWAP
        mm.frames.unmap_page(pfn)
