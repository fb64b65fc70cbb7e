# SPDX-License-Identifier: GPL-2.0-only
"""The library's page tables, and the host's page table in it, for the machine and the oracles."""

from __future__ import annotations

import ctypes
from typing import Any

from difffuzz.machine.pagetable import PageTable
from difffuzz.machine.pte import PTE_MAPPED
from difffuzz.machine.spt import PT_PFN_BASE, PtPage
from difffuzz.native.library import Library
from difffuzz.program.limits import N_AREAS
from difffuzz.sched import KernelSplat, Scheduler

NATIVE_PAGES = 1 << 16
MOST_CHANGES = 4096
NEW, GONE = 1024, 1025
LIVE = 1
ENTRY = (1 << 64) - 1
AREA_PMDS = 1024
LARGE_ENTRY = 0x81
TABLE_ENTRY = 0x63


class Role:
    """union kvm_mmu_page_role, the part that oracles use."""

    __slots__ = ("_sp", "guest_mode", "level", "smm", "word")

    def __init__(self, sp: ShadowPage, numbers: Any) -> None:
        self._sp = sp
        self.level = numbers[0]
        self.smm = numbers[1]
        self.word = numbers[8]
        self.guest_mode = bool(numbers[9])

    @property
    def invalid(self) -> bool:
        """The page is no longer to be used."""
        return bool(self._sp.read()[3])


class ShadowPage:
    """struct kvm_mmu_page: what changes with its entries only is kept, the rest is read."""

    __slots__ = ("_mem", "_number", "gfn", "ptep", "role", "spt", "tdp_mmu_page")

    def __init__(self, mem: NativeMem, number: int, out: Any) -> None:
        self._mem = mem
        self._number = number
        self.spt = (PT_PFN_BASE + number) << 12
        self.tdp_mmu_page = bool(out[4])
        self.take(out)

    def take(self, out: Any) -> None:
        """Takes what it maps.  A table for a split that lost its race is used for the next one."""
        self.gfn: int = out[2]
        self.ptep: int = out[6]
        self.role = Role(self, out)

    def read(self) -> Any:
        """The numbers of native_shadow_page() now."""
        return self._mem.numbers(self._number)

    @property
    def mmu_valid_gen(self) -> int:
        """The generation it was made in."""
        return int(self.read()[5])

    @property
    def root_count(self) -> int:
        """References as a root."""
        return int(self.read()[7])


class NativeMem:
    """machine.spt.PhysMem over the library's pages.

    `pages` and `log` are brought up to date by sync(), from what changed since the last one.
    """

    def __init__(self, library: Library, sched: Scheduler) -> None:
        self.sched = sched
        self.pages: dict[int, PtPage[ShadowPage]] = {}
        self.log: list[tuple[int, int, int]] = []
        self._library = library
        self._synced = -1
        where = (ctypes.c_ulong * 2)()
        library.function("native_page_memory", ctypes.c_void_p)(ctypes.addressof(where))
        self._entries = (ctypes.c_uint64 * (NATIVE_PAGES * 512)).from_address(where[0])
        self._state = (ctypes.c_ubyte * NATIVE_PAGES).from_address(where[1])
        self._changes = library.function("native_changes", ctypes.c_void_p, ctypes.c_long)
        self._shadow_page = library.function("native_shadow_page", ctypes.c_ulong, ctypes.c_void_p)
        self._numbers = (ctypes.c_long * 10)()

    def numbers(self, number: int) -> Any:
        """The numbers of the shadow page whose table a page is, or None."""
        out = self._numbers
        if self._state[number] != LIVE or not self._shadow_page(number, ctypes.addressof(out)):
            return None
        return out

    def sync(self) -> None:
        """Brings pages and log up to date."""
        if self._synced == self._library.calls:
            return
        self._synced = self._library.calls
        buffer = self._library.buffer
        at = ctypes.addressof(buffer)
        while True:
            n = self._changes(at, MOST_CHANGES)
            self._note(buffer[: 4 * n])
            if n < MOST_CHANGES:
                return

    def look(self) -> None:
        """The same in the middle of a call; sync() sees what it did only when it is over."""
        self._synced = -1
        self.sync()

    def _note(self, changes: list[int]) -> None:
        pages, log = self.pages, self.log
        written: set[int] = set()
        for i in range(0, len(changes), 4):
            number, index, old, new = changes[i : i + 4]
            old, new = old & ENTRY, new & ENTRY
            pfn = PT_PFN_BASE + number
            if index == NEW:
                pages[pfn] = PtPage(ShadowPage(self, number, self.numbers(number)))
            elif index == GONE:
                pages.pop(pfn, None)
            else:
                ent = pages[pfn].ent
                if new:
                    ent[index] = new
                else:
                    del ent[index]
                log.append((pfn << 12 | index << 3, old, new))
                written.add(number)
        for number in written:
            page, numbers = pages.get(PT_PFN_BASE + number), self.numbers(number)
            if page is not None and numbers is not None and page.sp.gfn != numbers[2]:
                page.sp.take(numbers)

    def page(self, pa: int) -> PtPage[ShadowPage]:
        """The page at `pa`."""
        page = self.pages.get(pa >> 12)
        if page is not None:
            return page
        self._index(pa)  # a PAE root is in use, and no shadow page
        return PtPage(None)

    def _index(self, ptr: int) -> int:
        index = (ptr >> 3) - (PT_PFN_BASE << 9)
        if not 0 <= index < NATIVE_PAGES << 9 or self._state[index >> 9] != LIVE:
            raise KernelSplat("uaf", "page_table", "walk of a freed page table")
        return index

    def read_once(self, ptr: int) -> int:
        """The CPU reads an entry."""
        self.sched.point(ptr, False)
        return self._entries[self._index(ptr)]

    def cmpxchg(self, ptr: int, old: int, value: int) -> int:
        """The CPU sets bits; returns what the entry was."""
        self.sched.point(ptr)
        index = self._index(ptr)
        current = self._entries[index]
        if current == old:
            self._entries[index] = value
            self._synced = -1
        return current


class _Mirror(dict[int, Any]):
    """A level of the host's page table; tells the library of each change."""

    def __init__(self, tell: Any) -> None:
        super().__init__()
        self._tell = tell

    def __setitem__(self, key: int, value: Any) -> None:
        super().__setitem__(key, value)
        self._tell(key)

    def __delitem__(self, key: int) -> None:
        super().__delitem__(key)
        self._tell(key)

    def pop(self, key: int, *default: Any) -> Any:
        """dict.pop()"""
        value = super().pop(key, *default)
        self._tell(key)
        return value

    def clear(self) -> None:
        """dict.clear()"""
        keys = list(self)
        super().clear()
        for key in keys:
            self._tell(key)


class MirroredPageTable(PageTable):
    """The host's page table, kept in the library too: the kernel reads the level from there."""

    __slots__ = ("_pmds", "_puds", "_tables_of_pmds")

    def __init__(self, library: Library) -> None:
        super().__init__()
        where = (ctypes.c_ulong * (2 * N_AREAS))()
        library.function("native_host_tables", ctypes.c_void_p)(ctypes.addressof(where))
        areas = range(N_AREAS)
        self._puds = [(ctypes.c_uint64 * 2).from_address(where[2 * a]) for a in areas]
        self._pmds = [(ctypes.c_uint64 * AREA_PMDS).from_address(where[2 * a + 1]) for a in areas]
        self._tables_of_pmds = [list(puds) for puds in self._puds]
        self.tables = _Mirror(self._pmd)
        self.huge = _Mirror(self._pmd)
        self.gig = _Mirror(self._pud)

    def _pmd(self, index: int) -> None:
        area, low = (index >> 19) - 1, index & (1 << 19) - 1
        if index in self.tables:
            entry = TABLE_ENTRY
        else:
            entry = LARGE_ENTRY if self.huge.get(index, 0) & PTE_MAPPED else 0
        self._pmds[area][low] = entry

    def _pud(self, index: int) -> None:
        area, low = (index >> 10) - 1, index & 1023
        large = self.gig.get(index, 0) & PTE_MAPPED
        self._puds[area][low] = LARGE_ENTRY if large else self._tables_of_pmds[area][low]
