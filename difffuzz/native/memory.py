# SPDX-License-Identifier: GPL-2.0-only
"""The library's page tables, and the host's page table in it, for the machine and the oracles."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TypeVar, overload

from difffuzz.machine.frames import ZERO_PFN
from difffuzz.machine.pagetable import PageTable
from difffuzz.machine.pte import PMD_PAGES, PTE_MAPPED, PUD_PAGES
from difffuzz.machine.spt import PT_PFN_BASE, PtPage
from difffuzz.native.abi.calls import PageState
from difffuzz.native.abi.describe import reader
from difffuzz.native.abi.limits import CHANGE_GONE, CHANGE_NEW, LARGE_ENTRY, PAGES, TABLE_ENTRY
from difffuzz.native.abi.view import Change, HostTables, PageMemory, SpNumbers
from difffuzz.native.library import Library
from difffuzz.program.limits import AREA_PAGES, N_AREAS
from difffuzz.sched import KernelSplat, Scheduler

MOST_CHANGES = 4096
LIVE = PageState.LIVE.value
AREA_PMDS = AREA_PAGES // PMD_PAGES
AREA_PUDS = AREA_PAGES // PUD_PAGES
read_changes = reader(Change, "number", "index", "old", "new")


D = TypeVar("D")
V = TypeVar("V")


class Role:
    """union kvm_mmu_page_role, the part that oracles use."""

    __slots__ = ("_sp", "access", "direct", "guest_mode", "level", "smm", "word")

    def __init__(self, sp: ShadowPage, numbers: SpNumbers) -> None:
        self._sp = sp
        self.level = numbers.level
        self.smm = numbers.smm
        self.word = numbers.role_word
        self.guest_mode = bool(numbers.guest_mode)
        self.direct = bool(numbers.direct)
        self.access = numbers.access

    @property
    def invalid(self) -> bool:
        """The page is no longer to be used."""
        return bool(self._sp.read().invalid)


class ShadowPage:
    """struct kvm_mmu_page: what changes with its entries only is kept, the rest is read."""

    __slots__ = ("_mem", "_number", "gfn", "ptep", "role", "spt", "tdp_mmu_page")

    def __init__(self, mem: NativeMem, number: int, numbers: SpNumbers) -> None:
        self._mem = mem
        self._number = number
        self.spt = (PT_PFN_BASE + number) << 12
        self.tdp_mmu_page = bool(numbers.tdp_mmu_page)
        self.take(numbers)

    def take(self, numbers: SpNumbers) -> None:
        """Takes what it maps.  A table for a split that lost its race is used for the next one."""
        self.gfn = numbers.gfn
        self.ptep = numbers.ptep
        self.role = Role(self, numbers)

    def read(self) -> SpNumbers:
        """Its numbers now; all 0 once it is freed."""
        return self._mem.numbers(self._number) or SpNumbers()

    @property
    def unsync(self) -> bool:
        """Its entries may be behind the guest's table."""
        return bool(self.read().unsync)

    @property
    def mmu_valid_gen(self) -> int:
        """The generation it was made in."""
        return self.read().mmu_valid_gen

    @property
    def root_count(self) -> int:
        """References as a root."""
        return self.read().root_count


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
        where = PageMemory()
        library.export("page_memory")(ctypes.addressof(where))
        self._pages_at = where.pages
        self._entries = (ctypes.c_uint64 * (PAGES << 9)).from_address(where.pages)
        self._state = (ctypes.c_ubyte * PAGES).from_address(where.states)
        self._changes = library.export("changes")
        self._buffer = (Change * MOST_CHANGES)()
        self._buffer_at = ctypes.addressof(self._buffer)
        self._bytes = memoryview(self._buffer).cast("B")
        self._shadow_page = library.export("shadow_page")
        self._numbers = SpNumbers()
        self._numbers_at = ctypes.addressof(self._numbers)

    def numbers(self, number: int) -> SpNumbers | None:
        """Of the shadow page that has the table, or None; the next call changes them."""
        if self._state[number] != LIVE or not self._shadow_page(number, self._numbers_at):
            return None
        return self._numbers

    def sync(self) -> None:
        """Brings pages and log up to date."""
        if self._synced == self._library.calls:
            return
        self._synced = self._library.calls
        while True:
            n = self._changes(self._buffer_at, MOST_CHANGES)
            if n:
                self._note(self._bytes[: n * ctypes.sizeof(Change)])
            if n < MOST_CHANGES:
                return

    def look(self) -> None:
        """The same in the middle of a call; sync() sees what it did only when it is over."""
        self._synced = -1
        self.sync()

    def _note(self, changes: memoryview) -> None:
        pages, log = self.pages, self.log
        written: set[int] = set()
        for number, index, old, new in read_changes(changes):
            pfn = PT_PFN_BASE + number
            if index == CHANGE_NEW:
                numbers = self.numbers(number)
                assert numbers is not None
                pages[pfn] = PtPage(ShadowPage(self, number, numbers))
            elif index == CHANGE_GONE:
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
            page = pages.get(PT_PFN_BASE + number)
            now = self.numbers(number)
            sp = page.sp if page is not None else None
            if sp is not None and now is not None and sp.gfn != now.gfn:
                sp.take(now)

    def page(self, pa: int) -> PtPage[ShadowPage]:
        """The page at `pa`."""
        page = self.pages.get(pa >> 12)
        if page is not None:
            return page
        self._index(pa)  # a PAE root is in use, and no shadow page
        return PtPage(None)

    def peek(self, ptr: int) -> tuple[int, ShadowPage] | None:
        """The entry in the library's memory, and the page as it is now; `ptr` may also be where the
        kernel's code has the entry in this process."""
        offset = ptr - self._pages_at
        number = offset >> 12 if 0 <= offset < PAGES << 12 else (ptr >> 12) - PT_PFN_BASE
        numbers = self.numbers(number) if 0 <= number < PAGES else None
        if numbers is None:
            return None
        entry: int = self._entries[number << 9 | (ptr >> 3) & 511]
        return entry, ShadowPage(self, number, numbers)

    def _index(self, ptr: int) -> int:
        index = (ptr >> 3) - (PT_PFN_BASE << 9)
        if not 0 <= index < PAGES << 9 or self._state[index >> 9] != LIVE:
            raise KernelSplat("uaf", "page_table", "walk of a freed page table")
        return index

    def read_once(self, ptr: int) -> int:
        """The CPU reads an entry; where a root is none, KVM lets it walk a page of zeros."""
        if ptr >> 12 == ZERO_PFN:
            return 0
        self.sched.point(ptr, False)
        entry: int = self._entries[self._index(ptr)]
        return entry

    def cmpxchg(self, ptr: int, old: int, value: int) -> int:
        """The CPU sets bits; returns what the entry was."""
        self.sched.point(ptr)
        index = self._index(ptr)
        current: int = self._entries[index]
        if current == old:
            self._entries[index] = value
            self._synced = -1
        return current


class _Mirror(dict[int, V]):
    """A level of the host's page table; tells the library of each change."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        super().__init__()
        self._tell = tell

    def __setitem__(self, key: int, value: V) -> None:
        super().__setitem__(key, value)
        self._tell(key)

    def __delitem__(self, key: int) -> None:
        super().__delitem__(key)
        self._tell(key)

    @overload
    def pop(self, key: int, /) -> V: ...

    @overload
    def pop(self, key: int, default: V | D, /) -> V | D: ...

    def pop(self, key: int, /, *default: object) -> object:
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
        where = (HostTables * N_AREAS)()
        library.export("host_tables")(ctypes.addressof(where))
        self._puds = [(ctypes.c_uint64 * AREA_PUDS).from_address(area.puds) for area in where]
        self._pmds = [(ctypes.c_uint64 * AREA_PMDS).from_address(area.pmds) for area in where]
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
