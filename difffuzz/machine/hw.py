# SPDX-License-Identifier: GPL-2.0-only
"""The guest's hardware: a CPU that translates guest physical addresses by TLB and page walk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from difffuzz.facts.paging import ENTRY_ADDR_MASK

from .pageformat import (
    EPT,
    EPT_NO_AD,
    EXEC,
    NPT,
    PAE,
    PERM_OF_ACCESS,
    PERM_R,
    PERM_W,
    PERM_X,
    READ,
    WRITE,
    PageFormat,
)
from .tlb import Tlb, TlbEntry

ALL_PERMS = PERM_R | PERM_W | PERM_X
WALK_LIMIT = 1000
"""Walks of one translation that may be undone by concurrent changes."""


class Memory(Protocol):
    """Physical memory with page tables (machine/spt.py)."""

    def read_once(self, ptr: int) -> int:
        """The 8-byte entry at a physical address."""

    def cmpxchg(self, ptr: int, old: int, value: int) -> int:
        """Stores if the entry is `old`; returns what it was."""


class Cpu:
    """One logical processor in guest mode.

    After a failed translate() `error_code` has PFERR_* bits and `fault_level` the level at which
    the walk ended.  `on_dirty(gpa)` is called when a dirty bit goes from 0 to 1 (PML);
    `tag_roots` makes TLB entries belong to the root they came from.
    """

    __slots__ = ("error_code", "fault_level", "fmt", "mem", "on_dirty", "tag_roots", "tlb", "walks")

    def __init__(
        self,
        mem: Memory,
        fmt: PageFormat,
        tlb: Tlb | None = None,
        on_dirty: Callable[[int], object] | None = None,
        tag_roots: bool = False,
    ) -> None:
        self.mem = mem
        self.fmt = fmt
        self.tlb = tlb if tlb is not None else Tlb()
        self.on_dirty = on_dirty
        self.tag_roots = tag_roots
        self.error_code = 0
        self.fault_level = 0
        self.walks = 0
        """Page walks so far, for oracles."""

    def translate(self, root_hpa: int, root_level: int, gpa: int, access: int) -> int:
        """The pfn of the 4K page that an access (0 read, 1 write, 2 execute) reaches, or -1.

        A TLB entry with the permission is used without a look at the tables, unless a dirty bit
        must be set.  Root level 3 is PAE: the root holds 4 entries without permissions.
        """
        hit = self.tlb.lookup(gpa >> 12, root_hpa if self.tag_roots else 0)
        if hit & PERM_OF_ACCESS[access] and (access != WRITE or hit & 8 or not self.fmt.ad):
            return hit >> 4
        for _ in range(WALK_LIMIT):
            pfn = self.walk(root_hpa, root_level, gpa, access)
            if pfn != -2:
                return pfn
        raise AssertionError("a page walk does not come to rest")

    def walk(self, root_hpa: int, root_level: int, gpa: int, access: int) -> int:
        """One page walk: the pfn, -1 for a fault, -2 if the tables changed under it."""
        fmt, load = self.fmt, self.mem.read_once
        epoch = self.tlb.epoch
        self.walks += 1
        level = root_level
        table = root_hpa
        perms = ALL_PERMS
        path: list[tuple[int, int]] = []
        while True:
            mask = 3 if level == 3 and root_level == 3 else 511
            ptr = table + ((gpa >> (3 + 9 * level)) & mask) * 8
            entry = load(ptr)
            if not entry & fmt.present:
                return self._fault(level, access, 0, False)
            if mask == 3:
                if entry & fmt.rsvd_phys_bits:
                    return self._fault(level, access, perms, True)
            else:
                if fmt.is_reserved(entry, level, root_level):
                    return self._fault(level, access, perms, True)
                perms &= fmt.perms(entry)
                path.append((ptr, entry))
                if level == 1 or entry & fmt.large:
                    break
            table = entry & ENTRY_ADDR_MASK
            level -= 1
        if not perms & PERM_OF_ACCESS[access]:
            return self._fault(level, access, perms, False)
        entry = path[-1][1]
        if fmt.ad and not self._set_bits(path, access == WRITE, gpa):
            return -2
        below = (1 << 9 * (level - 1)) - 1  # a large x86 entry has PAT in bit 12: not an address
        pfn = (entry & ENTRY_ADDR_MASK) >> 12 & ~below | gpa >> 12 & below
        if self.tlb.epoch != epoch:
            return -2
        dirty = access == WRITE or bool(entry & fmt.dirty)
        self.tlb.insert(gpa >> 12, level, pfn, perms, dirty, root_hpa if self.tag_roots else 0)
        return pfn

    def _fault(self, level: int, access: int, perms: int, reserved: bool) -> int:
        self.fault_level = level
        self.error_code = self.fmt.error_code(access, perms, reserved)
        return -1

    def _set_bits(self, path: list[tuple[int, int]], write: bool, gpa: int) -> bool:
        """Sets accessed bits from the top down, and the leaf's dirty bit; False if one changed."""
        fmt = self.fmt
        leaf = len(path) - 1
        for i, (ptr, entry) in enumerate(path):
            new = entry | fmt.accessed
            if write and i == leaf:
                new |= fmt.dirty
            if new == entry:
                continue
            if self.mem.cmpxchg(ptr, entry, new) != entry:
                return False
            if (new ^ entry) & fmt.dirty and self.on_dirty is not None:
                self.on_dirty(gpa)
        return True


__all__ = [
    "EPT",
    "EPT_NO_AD",
    "EXEC",
    "NPT",
    "PAE",
    "PERM_R",
    "PERM_W",
    "PERM_X",
    "READ",
    "WRITE",
    "Cpu",
    "PageFormat",
    "Tlb",
    "TlbEntry",
]
