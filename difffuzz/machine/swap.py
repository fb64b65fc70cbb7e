# SPDX-License-Identifier: GPL-2.0-only
"""mm/vmscan.c, mm/rmap.c: reclaiming pages to swap.

The data is kept; a page that is pinned is unmapped but stays in the swap cache, so that the next
fault finds the same frame.  Hugetlb and device memory is not reclaimed.
"""

from __future__ import annotations

from .migrate import rmap_addresses
from .mm import Mm, SwapSlot
from .pagetable import HOST_PAGE_TABLE, VMAS
from .pte import (
    PMD_SIZE,
    PTE_EXCLUSIVE,
    PTE_MAPPED,
    PTE_SPECIAL,
    PTE_SWAP,
)
from .split import split_huge_page, split_huge_pmd
from .vma import VM_SHARED


def swap_out(mm: Mm, start: int, end: int) -> None:
    """madvise(MADV_PAGEOUT) of the range, or the reclaim of just these pages."""
    for addr, level in mm.pt.mapped(start, end):
        mm.sched.touch(VMAS, False)
        vma = mm.vmas.find(addr)
        if vma is None or vma.level > 1:
            continue
        mm.page_lock.lock()
        if level == 1:
            reclaim(mm, addr)
        elif start <= addr and addr + PMD_SIZE <= end:
            reclaim_thp(mm, addr)
        elif mm.pt.huge.get(addr >> 21, 0) & PTE_MAPPED and split_huge_page(mm, addr):
            for part in range(max(addr, start), min(addr + PMD_SIZE, end), 4096):
                reclaim(mm, part)
        mm.page_lock.unlock()


def reclaim_thp(mm: Mm, base: int) -> None:
    """Swaps a whole THP: the pmd is split first, then all entries go in one bracket."""
    mm.sched.touch(HOST_PAGE_TABLE, False)
    if not mm.pt.huge.get(base >> 21, 0) & PTE_MAPPED:
        return
    split_huge_pmd(mm, base)
    mm.invalidate_range_start(base, base + PMD_SIZE)
    slots = {}
    for addr, _ in mm.pt.mapped(base, base + PMD_SIZE):
        pfn = mm.pt.leaf(addr)[0] >> 12
        if mm.frames.run(pfn) is not None:
            slots[pfn] = try_to_unmap_one(mm, addr, pfn, 0)
    mm.invalidate_range_end(base, base + PMD_SIZE)
    for pfn, slot in slots.items():
        if slot:
            unmap_child(mm, pfn, slot)
            write_out(mm, slot)


def reclaim(mm: Mm, addr: int) -> None:
    """shrink_page_list() of the 4K page at `addr`."""
    pte, level = mm.pt.leaf(addr)
    if level != 1 or not pte & PTE_MAPPED or pte & PTE_SPECIAL:
        return
    pfn = pte >> 12
    mm.sched.touch(VMAS, False)
    vma = mm.vmas.find(addr)
    if vma is None:
        return
    if vma.flags & VM_SHARED:
        reclaim_shared(mm, addr, pfn)
        return
    run = mm.frames.run(pfn)
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
        mm.set_pte(addr, slot << 12 | PTE_SWAP | pte & PTE_EXCLUSIVE)
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
    """Shared memory: the entry is cleared, the page cache gets the swap entry."""
    mm.invalidate_range_start(addr, addr + 4096)
    mm.ptl.lock()
    pte, level = mm.pt.leaf(addr)
    if level == 1 and pte & PTE_MAPPED and pte >> 12 == pfn:
        mm.set_pte(addr, 0)
        mm.unmap_entry(addr, 1, pte)
    mm.ptl.unlock()
    mm.invalidate_range_end(addr, addr + 4096)
    cached = mm.page_cache.get(addr >> 12, 0)
    if cached & PTE_MAPPED and cached >> 12 == pfn and mm.frames.page_count(pfn) == 1:
        number = mm.next_slot
        mm.next_slot += 1
        mm.swap[number] = SwapSlot(1, mm.frames.data(pfn), -1)
        mm.page_cache[addr >> 12] = number << 12 | PTE_SWAP
        mm.frames.unmap_page(pfn)
