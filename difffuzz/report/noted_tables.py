# SPDX-License-Identifier: GPL-2.0-only
"""The page tables of a side that is noted: what each holds after each change of its entries.

A model's memory of page tables tells of every store; of the kernel's own code, which has its own
memory, what changed since the last look is seen.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from difffuzz.facts.paging import PAGE_SHIFT, PT_PRESENT_MASK
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK, SPTE_MMU_PRESENT_MASK
from difffuzz.kvm.kvm_host import KvmMmuPage
from difffuzz.machine.delayed_stores import BufferedMem
from difffuzz.machine.spt import PT_PFN_BASE
from difffuzz.native.abi.calls import PageState
from difffuzz.native.abi.limits import PAGES
from difffuzz.native.abi.view import PageMemory
from difffuzz.native.kvm import NativeKvm
from difffuzz.native.memory import NativeMem
from difffuzz.report.recording import Change, Entry, Row, TableState
from difffuzz.sched import KernelSplat, Scheduler
from difffuzz.sides.kvm_state import Masks
from difffuzz.sides.spte_text import Kind, decode

PAE_ROOT_LEVEL = 3
ENTRIES = struct.Struct("512Q")
NATIVE_ABSENT = 1 << 63
"""Set in absent entries of x86 tables since 6.10."""


class Pool:
    """Entries and states that events name by number: each is kept once."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.states: list[TableState] = []
        self._numbers: dict[Entry, int] = {}
        self.made = 0
        """Tables so far, of both sides."""

    def entry(self, masks: Masks, spte: int, level: int) -> int:
        """The number of an SPTE, decoded."""
        kind, pfn, bits = decode(masks, spte, level)
        return self._number(Entry(f"{spte:#x}", kind.value, f"{pfn:#x}" if pfn >= 0 else "", bits))

    def root_entry(self, value: int) -> int:
        """That of an entry of a PAE root, which is no SPTE."""
        pfn = f"{(value & SPTE_BASE_ADDR_MASK) >> PAGE_SHIFT:#x}"
        present = value & PT_PRESENT_MASK
        kind = Kind.TABLE if present else Kind.NOT_PRESENT
        return self._number(Entry(f"{value:#x}", kind.value, pfn if present else ""))

    def _number(self, entry: Entry) -> int:
        number = self._numbers.setdefault(entry, len(self.entries))
        if number == len(self.entries):
            self.entries.append(entry)
        return number


class Where(NamedTuple):
    """What a table maps.  `root`: of PAE, without a shadow page; `note`: what is special."""

    gfn: int
    level: int
    smm: bool
    note: str
    root: bool = False


class Told(NamedTuple):
    """What became of tables: SPTEs that changed, states that hold from now on, tables that went."""

    changes: list[Change]
    states: list[int]
    gone: list[int]


class Tables:
    """The tables of one side, by pfn: each has a number as long as it is in use."""

    def __init__(self, pool: Pool, masks: Masks) -> None:
        self._pool = pool
        self._masks = masks
        self._numbers: dict[int, int] = {}

    def holds(
        self, pfn: int, where: Where, entries: Mapping[int, int], changed: Mapping[int, int]
    ) -> Told:
        """Table `pfn` has these entries now; of those that changed the ones before are known."""
        pool = self._pool
        number = self._number(pfn)
        rows = tuple(self._rows(where, entries))
        pool.states.append(TableState(number, where.level, where.gfn, where.smm, where.note, rows))
        changes = [
            Change(
                where.gfn + (index << 9 * (where.level - 1)),
                where.level,
                self._entry(where, old),
                self._entry(where, entries.get(index, 0)),
                smm=where.smm,
            )
            for index, old in changed.items()
        ]
        return Told(changes, [len(pool.states) - 1], [])

    def goes(self, pfn: int) -> Told:
        """Table `pfn` is freed."""
        number = self._numbers.pop(pfn, -1)
        return Told([], [], [number] if number >= 0 else [])

    def _number(self, pfn: int) -> int:
        if pfn not in self._numbers:
            self._numbers[pfn] = self._pool.made
            self._pool.made += 1
        return self._numbers[pfn]

    def _entry(self, where: Where, value: int) -> int:
        if where.root:
            return self._pool.root_entry(value)
        return self._pool.entry(self._masks, value, where.level)

    def _rows(self, where: Where, entries: Mapping[int, int]) -> list[Row]:
        """The entries that are not absent, those that go on alike in one row."""
        rows: list[Row] = []
        step = 1 << PAGE_SHIFT + 9 * (where.level - 1)
        kind, before = "", 0
        for index in sorted(entries):
            value = entries[index]
            follows = bool(rows) and rows[-1].last == index - 1
            if follows and (
                (kind == Kind.LEAF and value - before == step)
                or (kind not in (Kind.LEAF, Kind.TABLE) and value == before)
            ):
                rows[-1] = Row(rows[-1].first, index, rows[-1].entry)
            else:
                number = self._entry(where, value)
                kind = self._pool.entries[number].kind
                child = -1
                if kind == Kind.TABLE:
                    child = self._number((value & SPTE_BASE_ADDR_MASK) >> PAGE_SHIFT)
                rows.append(Row(index, index, number, child))
            before = value
        return rows


class MemoryNotes(Protocol):
    """Who is told of what a model does to its page tables."""

    def stored(self, pfn: int, index: int, old: int) -> None:
        """An entry was `old`."""

    def filled(self, pfn: int) -> None:
        """A table is new, or was changed as a whole."""

    def freed(self, pfn: int) -> None:
        """A table is no longer in use."""


class NotedMem(BufferedMem[KvmMmuPage]):
    """Page tables that tell of every change."""

    __slots__ = ("_notes",)

    def __init__(self, sched: Scheduler, notes: MemoryNotes) -> None:
        super().__init__(sched)
        self._notes = notes

    def store(self, ptr: int, value: int) -> None:
        """Every store, the atomic ones too."""
        page = self.pages.get(ptr >> 12)
        index = ptr >> 3 & 511
        old = page.ent.get(index, page.absent) if page is not None else 0
        super().store(ptr, value)
        self._notes.stored(ptr >> 12, index, old)

    def fill(self, pa: int, entries: dict[int, int]) -> None:
        """A table is written as a whole."""
        super().fill(pa, entries)
        self._notes.filled(pa >> 12)

    def freeze_absent(self, pa: int, value: int, known: set[int]) -> bool:
        """What is absent in a table is frozen."""
        frozen = super().freeze_absent(pa, value, known)
        self._notes.filled(pa >> 12)
        return frozen

    def free(self, pa: int) -> None:
        """A table goes."""
        super().free(pa)
        self._notes.freed(pa >> 12)


def place_of_table(sp: KvmMmuPage | None, absent: int) -> Where:
    """What a model's table maps; `absent`: what its absent entries read as."""
    if sp is None:
        return Where(0, PAE_ROOT_LEVEL, False, "PAE root", True)
    notes = ["invalid"] if sp.role.invalid else []
    if absent:
        notes.append("all else frozen")
    return Where(sp.gfn, sp.role.level, bool(sp.role.smm), ", ".join(notes))


class NativeTables:
    """Looks at the memory that the kernel's own code has its page tables in; changes nothing."""

    def __init__(self, kvm: NativeKvm, tables: Tables) -> None:
        self._mem: NativeMem = kvm.mem
        self._tables = tables
        where = PageMemory()
        kvm.library.export("page_memory")(ctypes.addressof(where))
        self._pages = where.pages
        self._states = where.states
        self._known: dict[int, bytes] = {}

    def look(self, tell: Callable[[Told], None]) -> None:
        """Tells what changed since the last look."""
        states = ctypes.string_at(self._states, PAGES)
        for number in [number for number in self._known if states[number] != PageState.LIVE]:
            del self._known[number]
            tell(self._tables.goes(PT_PFN_BASE + number))
        number = states.find(PageState.LIVE)
        while number >= 0:
            now = ctypes.string_at(self._pages + (number << PAGE_SHIFT), 1 << PAGE_SHIFT)
            before = self._known.get(number)
            if now != before:
                self._changed(number, before, now, tell)
            number = states.find(PageState.LIVE, number + 1)

    def _changed(
        self, number: int, before: bytes | None, now: bytes, tell: Callable[[Told], None]
    ) -> None:
        try:
            numbers = self._mem.numbers(number)
        except KernelSplat:  # too broken to be read
            return
        if numbers is None:  # not yet, or a PAE root
            return
        self._known[number] = now
        note = "invalid" if numbers.invalid else ""
        where = Where(numbers.gfn, numbers.level, bool(numbers.smm), note)
        entries = _entries(now)
        old = _entries(before) if before is not None else entries
        changed = {
            index: old.get(index, 0)
            for index in sorted(entries.keys() | old.keys())
            if entries.get(index, 0) != old.get(index, 0)
        }
        tell(self._tables.holds(PT_PFN_BASE + number, where, entries, changed))


def _entries(memory: bytes) -> dict[int, int]:
    found = {}
    for index, value in enumerate(ENTRIES.unpack(memory)):
        if not value & SPTE_MMU_PRESENT_MASK:
            value &= ~NATIVE_ABSENT
        if value:
            found[index] = value
    return found
