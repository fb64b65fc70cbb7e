# SPDX-License-Identifier: GPL-2.0-only
"""struct mm_struct: the state that every host operation works on, its locks and its mmu notifiers.

Locks, outermost first: mmap_lock, `page_lock` (one for all folio locks), `ptl` (one for all page
table locks), then whatever a notifier takes.  As in the kernel, invalidate_range_start/end may
sleep and is called without `ptl`; change_pte and the young notifiers run under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from difffuzz.sched import Mutex, RwSemaphore, Scheduler, SpinLock

from .content import Contents
from .frames import Frames
from .pagetable import HOST_PAGE_TABLE, PageTable
from .pte import PTE_DIRTY, PTE_PRESENT, PTE_PROTNONE, PTE_WRITE
from .vma import (
    AREA_FLAGS,
    AREA_PAGES,
    HUGETLB_LEVEL,
    VM_PFNMAP,
    VM_READ,
    VM_SHARED,
    VM_TAILS,
    VM_WRITE,
    Vma,
    VmaTree,
    area_base,
)

PAGE_LOCK_RANK = 45
PTL_RANK = 55
"""Places of the two locks in `difffuzz.sched.locks.Rank`, between mmap_lock and mmu_lock."""


class MmuNotifier(Protocol):
    """struct mmu_notifier_ops; addresses are hva bytes, ranges [start, end)."""

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> object:
        """The range is about to change: stop using it until the matching end."""

    def invalidate_range_end(self, start: int, end: int) -> object:
        """The change is done."""

    def change_pte(self, addr: int, pte: int) -> object:
        """The 4K entry at `addr` becomes `pte`; always inside a start/end bracket."""

    def clear_flush_young(self, start: int, end: int) -> int:
        """Clears accessed bits and flushes; non-zero if any was set."""

    def clear_young(self, start: int, end: int) -> int:
        """Clears accessed bits; non-zero if any was set."""

    def test_young(self, addr: int) -> int:
        """Non-zero if the accessed bit is set."""

    def release(self) -> object:
        """The process exits: drop everything."""


class SwapSlot:
    """A page in swap: how many entries refer to it, its content, its cached page or -1."""

    __slots__ = ("cached", "count", "data")

    def __init__(self, count: int, data: int, cached: int) -> None:
        self.count = count
        self.data = data
        self.cached = cached


class Mm:
    """One host process."""

    __slots__ = (
        "areas",
        "changed",
        "child_pages",
        "child_runs",
        "child_swap",
        "contents",
        "disk",
        "frames",
        "ksm",
        "mmap_lock",
        "next_slot",
        "notifiers",
        "page_cache",
        "page_lock",
        "point",
        "pt",
        "ptl",
        "sched",
        "swap",
        "vmas",
    )

    def __init__(self, sched: Scheduler, areas: Sequence[str]) -> None:
        self.sched = sched
        self.point = sched.point
        self.areas = tuple(areas)
        self.frames = Frames()
        self.contents = Contents()
        """What is in pages that hold more than one word."""
        self.pt = PageTable()
        self.vmas = VmaTree()
        self.mmap_lock = RwSemaphore(sched, "mmap_lock")
        self.page_lock = Mutex(sched, "page_lock", PAGE_LOCK_RANK)
        self.ptl = SpinLock(sched, "ptl", PTL_RANK)
        self.notifiers: list[MmuNotifier] = []
        self.changed: list[tuple[int, int]] = []
        self.page_cache: dict[int, int] = {}
        """Pages of the files behind "shared" and "file" areas, as entries by hva >> 12; each is a
        mapping."""
        self.disk: dict[int, int] = {}
        """What the disk has of the files behind "file" areas, by hva >> 12."""
        self.ksm: dict[int, set[int]] = {}
        """hva >> 12 of the entries that map each KSM page."""
        self.swap: dict[int, SwapSlot] = {}
        self.next_slot = 1
        self.child_pages: dict[int, int] = {}
        self.child_runs: dict[int, int] = {}
        self.child_swap: dict[int, int] = {}
        """What the child of the last fork maps: 4K pages, huge pages (by head), swap slots."""
        for area, kind in enumerate(self.areas):
            base = area_base(area)
            self.vmas.insert(self.new_vma(kind, base, base + (AREA_PAGES << 12)))

    def new_vma(self, kind: str, start: int, end: int) -> Vma:
        """A fresh mapping of an area of that kind; device memory gets pfns never used before."""
        flags = AREA_FLAGS[kind]
        delta = 0
        if flags & VM_PFNMAP:
            frames = self.frames
            alloc = frames.alloc_tails if flags & VM_TAILS else frames.alloc_device
            delta = alloc((end - start) >> 12) - (start >> 12)
        return Vma(start, end, flags, HUGETLB_LEVEL.get(kind, 1), delta)

    def invalidate_range_start(self, start: int, end: int) -> None:
        """mmu_notifier_invalidate_range_start(), then a preemption point."""
        for notifier in self.notifiers:
            notifier.invalidate_range_start(start, end, True)
        self.point()

    def invalidate_range_end(self, start: int, end: int) -> None:
        """A preemption point, then mmu_notifier_invalidate_range_end()."""
        self.point()
        for notifier in self.notifiers:
            notifier.invalidate_range_end(start, end)

    def set_pte(self, addr: int, pte: int) -> None:
        """set_pte_at() of a 4K entry whose table exists; 0 clears it."""
        table = self.pt.tables[addr >> 21]
        if pte:
            table[addr >> 12] = pte
        else:
            table.pop(addr >> 12, None)
        self.note(addr, addr + 4096)

    def set_pte_at_notify(self, addr: int, pte: int) -> None:
        """Clears the 4K entry, tells the notifiers its new value, sets it.  Called under `ptl`."""
        self.set_pte(addr, 0)
        for notifier in self.notifiers:
            notifier.change_pte(addr, pte)
        self.set_pte(addr, pte)

    def note(self, start: int, end: int) -> None:
        """Logs that entries in [start, end) changed."""
        self.sched.touch(HOST_PAGE_TABLE)
        changed = self.changed
        if changed:
            first, last = changed[-1]
            if first <= start <= last:
                if end > last:
                    changed[-1] = (first, end)
                return
        changed.append((start, end))

    def remap(self, vma: Vma | None, flags: int) -> int:
        """Entry flags for a page that is mapped again (mk_pte() with vm_page_prot).

        No VMA: munmap has detached it and is about to clear the entry.
        """
        if vma is None:
            return flags | PTE_PRESENT
        if not vma.flags & VM_READ:
            return flags & ~PTE_WRITE | PTE_PROTNONE
        if not vma.flags & VM_WRITE:
            flags &= ~PTE_WRITE
        elif vma.flags & VM_SHARED and not vma.wants_writenotify:
            flags |= PTE_WRITE
        return flags | PTE_PRESENT

    def unmap_entry(self, addr: int, level: int, pte: int) -> None:
        """Drops the reference that an entry which maps a page (or migrates one) held."""
        pfn = pte >> 12
        if level > 1:
            if pte & PTE_DIRTY and addr >> 12 in self.page_cache:
                self.frames.mark_dirty(pfn)
            self.frames.unmap_run(pfn)
            return
        if self.frames.reserved(pfn):
            return
        if self.ksm:
            self.ksm_remove(pfn, addr)
        if pte & PTE_DIRTY and addr >> 12 in self.page_cache:
            self.frames.mark_dirty(pfn)
        self.frames.unmap_page(pfn)

    def ksm_remove(self, pfn: int, addr: int) -> None:
        """The entry at `addr` no longer maps the KSM page `pfn`."""
        vpns = self.ksm.get(pfn)
        if vpns is not None:
            vpns.discard(addr >> 12)
            if not vpns:
                del self.ksm[pfn]

    def swap_free(self, number: int) -> None:
        """One entry less refers to the swap slot; the last one frees it."""
        slot = self.swap[number]
        slot.count -= 1
        if not slot.count:
            if slot.cached >= 0:
                self.frames.unmap_page(slot.cached)
            del self.swap[number]

    def child_split(self, pfn: int) -> None:
        """The child maps the huge page of `pfn` by 4K entries from now on."""
        run = self.frames.run(pfn)
        if run is None:
            return
        count = self.child_runs.pop(run.head, 0)
        if count:
            for page in range(run.head, run.head + run.size):
                self.child_pages[page] = self.child_pages.get(page, 0) + count

    def child_unmap(self, pfn: int, level: int) -> int:
        """Takes a page away from the child; returns how often it mapped it."""
        if level > 1:
            count = self.child_runs.pop(pfn, 0)
            for _ in range(count):
                self.frames.unmap_run(pfn)
            return count
        self.child_split(pfn)
        count = self.child_pages.pop(pfn, 0)
        for _ in range(count):
            self.frames.unmap_page(pfn)
        return count
