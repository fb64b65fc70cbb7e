# SPDX-License-Identifier: GPL-2.0-only
"""Physical pages of the host: who holds them, what they contain, whether the host took them back.

Pfns are never handed out twice, so a use of a page after it was freed is always visible.  A huge
page is one `Run`; a page inside it costs memory only where it differs from the rest of its run.
References are of two sorts, as they are in the kernel's arithmetic: *mappings* (a page-table entry,
the child of a fork, the page cache or the swap cache) and *pins* (get_page() by gup).

Flags are those of the folio, as in the kernel: one for all of a huge page that is not split.
"""

from __future__ import annotations

from difffuzz.sched import KernelSplat

from .pte import PMD_PAGES, PUD_PAGES

ZERO_PFN = 1
"""The shared zero page: reserved, never freed, but references to it are counted."""
BASE_4K = 1 << 20
BASE_2M = 1 << 28
BASE_1G = 1 << 30
BASE_DEVICE = 3 << 30
BASE_TAILS = BASE_DEVICE - (1 << 27)
PFN_LIMIT = 1 << 32
"""Order-0 pages, 2M pages, 1G pages, tail pages of a driver and device memory come from pfn ranges
of their own."""

FREED_DATA = -1
"""What a read of a freed page returns."""


class Run:
    """A huge page: `maps` mappings of all of it, `extra` the difference for single 4K pages."""

    __slots__ = (
        "data",
        "extra",
        "extra_total",
        "head",
        "maps",
        "moved",
        "pins",
        "size",
        "split",
    )

    def __init__(self, head: int, size: int) -> None:
        self.head = head
        self.size = size
        self.maps = 1
        self.extra: dict[int, int] = {}
        self.extra_total = 0
        self.pins = 0
        self.split = False
        self.data: dict[int, int] = {}
        self.moved: set[int] = set()
        """Where its first page would be (hva), seen from entries that mremap moved, and before."""


class Frames:
    """Every page of the host, by pfn."""

    __slots__ = (
        "_data",
        "_maps",
        "_next",
        "_next_tail",
        "_pins",
        "_retired",
        "_runs",
        "accessed",
        "dirty",
        "lazyfree",
        "poisoned",
    )

    def __init__(self) -> None:
        self._next = {1: BASE_4K, PMD_PAGES: BASE_2M, PUD_PAGES: BASE_1G}
        self._maps: dict[int, int] = {}
        self._pins: dict[int, int] = {}
        self._runs: dict[int, Run] = {}
        self._data: dict[int, int] = {}
        self._retired: list[tuple[int, int]] = []
        self.dirty: set[int] = set()
        """Folios with PG_dirty, by their heads; entries have a dirty bit of their own."""
        self.accessed: set[int] = set()
        """Folios that mark_page_accessed() was called for, since they were aged last."""
        self.lazyfree: set[int] = set()
        """Anonymous folios without PG_swapbacked: madvise(MADV_FREE) freed them, lazily."""
        self.poisoned: set[int] = set()
        self._next[0] = BASE_DEVICE
        self._next_tail = BASE_TAILS

    def alloc(self, pages: int = 1) -> int:
        """A zeroed, naturally aligned page of 1, 512 or 262144 pfns with one mapping reference."""
        pfn = self._next[pages]
        self._next[pages] = pfn + pages
        if pages == 1:
            self._maps[pfn] = 1
        else:
            self._runs[pfn] = Run(pfn, pages)
        return pfn

    def alloc_device(self, pages: int) -> int:
        """Reserves device memory, which has no reference counts; see `retire_device`."""
        pfn = self._next[0]
        self._next[0] = pfn + (pages + PMD_PAGES - 1) // PMD_PAGES * PMD_PAGES
        assert self._next[0] <= PFN_LIMIT
        return pfn

    def alloc_tails(self, pages: int) -> int:
        """Pages of a driver: the tails of one allocation of high order that is not compound.

        Each has a struct page, and a reference count of 0 for as long as the driver has them.
        """
        pfn = self._next_tail
        self._next_tail = pfn + (pages + PMD_PAGES - 1) // PMD_PAGES * PMD_PAGES
        assert self._next_tail <= BASE_DEVICE
        return pfn

    def retire_device(self, pfn: int, pages: int) -> None:
        """The device took the range back: its pfns are free from now on."""
        self._retired.append((pfn, pfn + pages))

    def run(self, pfn: int) -> Run | None:
        """The huge page that `pfn` is part of, or None."""
        if pfn < BASE_2M:
            return None
        return self._runs.get(pfn & -PMD_PAGES if pfn < BASE_1G else pfn & -PUD_PAGES)

    def reserved(self, pfn: int) -> bool:
        """True where an entry is no reference: the zero page, a driver's pages, device memory."""
        return pfn == ZERO_PFN or pfn >= BASE_TAILS

    @staticmethod
    def is_tail(pfn: int) -> bool:
        """True for a driver's page that has a struct page, to which nobody may take references."""
        return BASE_TAILS <= pfn < BASE_DEVICE

    @staticmethod
    def is_device(pfn: int) -> bool:
        """True for device memory, to which nobody counts references."""
        return pfn >= BASE_DEVICE

    def folio(self, pfn: int) -> int:
        """page_folio(): the pfn under which the flags of a page are."""
        if pfn < BASE_2M:
            return pfn
        run = self.run(pfn)
        return pfn if run is None or run.split else run.head

    def mapcount(self, pfn: int) -> int:
        """Mappings of one 4K page."""
        count = self._maps.get(pfn)
        if count is not None:
            return count
        run = self.run(pfn)
        return run.maps + run.extra.get(pfn - run.head, 0) if run is not None else 0

    def pins(self, pfn: int) -> int:
        """References to one 4K page that are no mappings."""
        return self._pins.get(pfn, 0)

    def page_count(self, pfn: int) -> int:
        """All references to one 4K page."""
        return self.mapcount(pfn) + self._pins.get(pfn, 0)

    def folio_count(self, pfn: int, level: int = 1) -> int:
        """folio_ref_count() of the folio of `pfn`, which a `level` entry maps."""
        run = self.run(pfn)
        if run is None or (run.split and level == 1):
            return self.page_count(pfn)
        return run.maps * (run.size if level == 1 else 1) + run.extra_total + run.pins

    def folio_pins(self, pfn: int) -> int:
        """References to the folio of `pfn` that are no mappings."""
        run = self.run(pfn)
        if run is None or run.split:
            return self._pins.get(pfn, 0)
        return run.pins

    def is_free(self, pfn: int) -> bool:
        """True if nothing refers to the page: the host has taken it back (or never gave it)."""
        if pfn in self._maps or pfn in self._pins:
            return False
        if pfn >= BASE_TAILS:
            fresh = self._next[0] if pfn >= BASE_DEVICE else self._next_tail
            return pfn >= fresh or any(a <= pfn < b for a, b in self._retired)
        return pfn != ZERO_PFN and not self.page_count(pfn)

    def get(self, pfn: int) -> None:
        """get_page().  A page that is free already is a use after free."""
        if pfn >= BASE_TAILS:
            return
        pins = self._pins
        count = pins.get(pfn, 0)
        if not count and pfn not in self._maps and self.is_free(pfn):
            raise KernelSplat("uaf", "get_page", "reference taken of a free page")
        pins[pfn] = count + 1
        if pfn >= BASE_2M:
            run = self.run(pfn)
            if run is not None:
                run.pins += 1

    def put(self, pfn: int) -> None:
        """put_page().  One more put than gets is a use after free."""
        if pfn >= BASE_TAILS:
            return
        count = self._pins.get(pfn, 0)
        if not count:
            raise KernelSplat("uaf", "put_page", "reference dropped that nobody took")
        if count > 1:
            self._pins[pfn] = count - 1
        else:
            del self._pins[pfn]
        if pfn >= BASE_2M:
            run = self.run(pfn)
            if run is not None:
                run.pins -= 1
        if pfn not in self._maps:
            self._release(pfn)

    def map_page(self, pfn: int) -> None:
        """One more mapping of a 4K page."""
        if pfn in self._maps:
            self._maps[pfn] += 1
            return
        run = self.run(pfn)
        if run is None:
            self._maps[pfn] = 1
            return
        self._add_extra(run, pfn, 1)

    def unmap_page(self, pfn: int) -> None:
        """One mapping of a 4K page less; the last reference frees it."""
        count = self._maps.get(pfn)
        if count is None:
            run = self.run(pfn)
            assert run is not None
            self._unmap_part(run, pfn)
            self._release_run(run)
        elif count > 1:
            self._maps[pfn] = count - 1
        else:
            del self._maps[pfn]
            if pfn not in self._pins:
                self._data.pop(pfn, None)

    def unmap_pages(self, pfns: list[int]) -> None:
        """unmap_page() of each; the zero page and device memory are passed over."""
        run = self.run(pfns[0]) if pfns else None
        if run is not None and self._is_rest(run, pfns):
            del self._runs[run.head]
            return
        maps, pins = self._maps, self._pins
        run = None
        for pfn in pfns:
            if BASE_2M <= pfn < BASE_TAILS and pfn not in maps:
                if run is None or not run.head <= pfn < run.head + run.size:
                    if run is not None:
                        self._release_run(run)
                    run = self.run(pfn)
                    assert run is not None
                self._unmap_part(run, pfn)
            elif maps.get(pfn) == 1 and pfn not in pins:
                del maps[pfn]
                self._data.pop(pfn, None)
            elif pfn != ZERO_PFN and pfn < BASE_TAILS:
                self.unmap_page(pfn)
        if run is not None:
            self._release_run(run)

    @staticmethod
    def _is_rest(run: Run, pfns: list[int]) -> bool:
        """True if the pfns are all that anybody still refers to of a huge page, once each."""
        gone, head = run.extra, run.head
        if run.pins or run.maps != 1 or run.extra_total != -len(gone):
            return False
        if len(pfns) + len(gone) != run.size:
            return False
        if min(pfns) < head or max(pfns) >= head + run.size:
            return False
        offsets = {pfn - head for pfn in pfns}
        return len(offsets) == len(pfns) and gone.keys().isdisjoint(offsets)

    def _unmap_part(self, run: Run, pfn: int) -> None:
        """One mapping of a 4K page of a huge page less; the caller releases the huge page."""
        offset = pfn - run.head
        extra = run.extra
        count = extra.get(offset, 0) - 1
        if count:
            extra[offset] = count
        else:
            del extra[offset]
        run.extra_total -= 1
        if run.data and run.maps + count == 0 and pfn not in self._pins:
            run.data.pop(offset, None)

    def map_run(self, head: int) -> None:
        """One more mapping of a whole huge page."""
        self._runs[head].maps += 1

    def unmap_run(self, head: int) -> None:
        """One mapping of a whole huge page less."""
        run = self._runs[head]
        run.maps -= 1
        self._release_run(run)

    @staticmethod
    def _add_extra(run: Run, pfn: int, delta: int) -> None:
        offset = pfn - run.head
        count = run.extra.get(offset, 0) + delta
        if count:
            run.extra[offset] = count
        else:
            del run.extra[offset]
        run.extra_total += delta

    def _release(self, pfn: int) -> None:
        if self.page_count(pfn):
            return
        run = self.run(pfn)
        if run is None:
            self._data.pop(pfn, None)
            return
        run.data.pop(pfn - run.head, None)
        self._release_run(run)

    def _release_run(self, run: Run) -> None:
        if not run.pins and run.maps * run.size + run.extra_total == 0:
            del self._runs[run.head]

    def data(self, pfn: int) -> int:
        """What the page contains: 0 when fresh, FREED_DATA once it is free."""
        if pfn in self._maps:
            return self._data.get(pfn, 0)
        run = self.run(pfn)
        whole = run is not None and run.maps > 0 and pfn - run.head not in run.extra
        if not whole and self.is_free(pfn):
            return FREED_DATA
        if run is None:
            return self._data.get(pfn, 0)
        return run.data.get(pfn - run.head, 0)

    def set_data(self, pfn: int, value: int) -> None:
        """A write to the page.  Writes to the zero page and to free pages leave no trace here."""
        if pfn == ZERO_PFN or self.is_free(pfn):
            return
        run = self.run(pfn)
        if run is None:
            self._data[pfn] = value
        else:
            run.data[pfn - run.head] = value

    def copy_run(self, head: int, new: int) -> None:
        """Copies a whole huge page."""
        self._runs[new].data = dict(self._runs[head].data)

    def mark_dirty(self, pfn: int) -> None:
        """set_page_dirty()."""
        if pfn != ZERO_PFN and pfn < BASE_TAILS:
            self.dirty.add(self.folio(pfn))

    def mark_accessed(self, pfn: int) -> None:
        """mark_page_accessed()."""
        if pfn != ZERO_PFN and pfn < BASE_TAILS:
            self.accessed.add(self.folio(pfn))

    def split_run(self, run: Run) -> None:
        """__split_huge_page_tail() of each page: all have the flags of the head."""
        run.split = True
        for flags in (self.dirty, self.accessed, self.lazyfree):
            if run.head in flags:
                flags.update(range(run.head, run.head + run.size))

    def copy_flags(self, old: int, new: int) -> None:
        """folio_migrate_flags() from one folio to another of the same size."""
        for flags in (self.dirty, self.accessed, self.lazyfree):
            if self.folio(old) in flags:
                flags.add(new)

    def leaked(self) -> list[int]:
        """Pfns that still have references, ascending; an unbroken huge page counts once."""
        found = set(self._maps) | set(self._pins)
        for head, run in self._runs.items():
            gone = {offset for offset, n in run.extra.items() if n + run.maps == 0}
            if run.maps and not gone:
                found.add(head)
            else:
                offsets = range(run.size) if run.maps else run.extra
                found.update(head + offset for offset in offsets if offset not in gone)
        return sorted(found)
