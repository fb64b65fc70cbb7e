# SPDX-License-Identifier: GPL-2.0-only
"""A TLB: translations of gfns, by page size, tagged with the root they were walked from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class TlbEntry(NamedTuple):
    """One cached translation.  `gfn` and `pfn` are the first of the page of that level."""

    root: int
    gfn: int
    level: int
    pfn: int
    perms: int
    dirty: bool

    @property
    def pages(self) -> int:
        """Size in 4K pages."""
        return 1 << 9 * (self.level - 1)


class Tlb:
    """The TLB of one vCPU.

    `root` tags an entry (EPTP or ASID); whoever does not tag leaves it 0.  `epoch` counts flushes:
    a walk that saw one inserts nothing.  There is no limit on the number of entries and no cache
    of upper-level entries.
    """

    __slots__ = ("_roots", "epoch")

    def __init__(self) -> None:
        self._roots: dict[int, tuple[dict[int, int], dict[int, int], dict[int, int]]] = {}
        self.epoch = 0

    def lookup(self, gfn: int, root: int = 0) -> int:
        """pfn of the 4K page << 4 | dirty << 3 | PERM_*, or 0 for a miss."""
        tables = self._roots.get(root)
        if tables is None:
            return 0
        hit = tables[0].get(gfn)
        if hit is not None:
            return hit
        hit = tables[1].get(gfn >> 9)
        if hit is not None:
            return hit + ((gfn & 0x1FF) << 4)
        hit = tables[2].get(gfn >> 18)
        if hit is not None:
            return hit + ((gfn & 0x3FFFF) << 4)
        return 0

    def insert(
        self, gfn: int, level: int, pfn: int, perms: int, dirty: bool, root: int = 0
    ) -> None:
        """Caches the page of `level` that holds `gfn`; `pfn` is the pfn of that 4K page."""
        tables = self._roots.get(root)
        if tables is None:
            tables = self._roots[root] = ({}, {}, {})
        shift = 9 * (level - 1)
        first = pfn - (gfn & (1 << shift) - 1)
        for other in range(3):
            if other != level - 1 and tables[other]:
                tables[other].pop(gfn >> 9 * other, None)
        tables[level - 1][gfn >> shift] = first << 4 | dirty << 3 | perms

    def flush_all(self) -> None:
        """Drops everything."""
        self.epoch += 1
        self._roots.clear()

    def flush_range(self, gfn: int, pages: int) -> None:
        """Drops every entry, of any size and tag, that has a gfn in [gfn, gfn + pages)."""
        self.epoch += 1
        last = gfn + pages - 1
        for tables in self._roots.values():
            for size in range(3):
                lo, hi = gfn >> 9 * size, last >> 9 * size
                for key in [key for key in tables[size] if lo <= key <= hi]:
                    del tables[size][key]

    def entries(self) -> Iterator[TlbEntry]:
        """Everything that is cached."""
        for root, tables in self._roots.items():
            for size in range(3):
                for key, hit in tables[size].items():
                    yield TlbEntry(
                        root, key << 9 * size, size + 1, hit >> 4, hit & 7, bool(hit & 8)
                    )
