# SPDX-License-Identifier: GPL-2.0-only
"""The TLB: sizes, tags and flushes."""

from __future__ import annotations

import pytest

from difffuzz.machine.hw import PERM_R, PERM_W, Tlb, TlbEntry


@pytest.mark.parametrize(("level", "pages"), [(1, 1), (2, 512), (3, 262144)])
def test_an_entry_covers_its_page(level: int, pages: int) -> None:
    tlb = Tlb()
    tlb.insert(pages + pages // 2, level, 8 * pages + pages // 2, PERM_R, False)
    assert [tlb.lookup(gfn) >> 4 for gfn in (pages, 2 * pages - 1)] == [8 * pages, 9 * pages - 1]
    assert tlb.lookup(pages - 1) == tlb.lookup(2 * pages) == 0
    entry = TlbEntry(0, pages, level, 8 * pages, PERM_R, False)
    assert list(tlb.entries()) == [entry]
    assert entry.pages == pages


def test_a_new_entry_replaces_other_sizes() -> None:
    tlb = Tlb()
    tlb.insert(0x203, 2, 0x403, PERM_R, False)
    tlb.insert(0x203, 1, 0x999, PERM_R | PERM_W, True)
    assert [entry.level for entry in tlb.entries()] == [1]
    assert tlb.lookup(0x203) == 0x999 << 4 | 8 | PERM_R | PERM_W


@pytest.mark.parametrize(
    ("gfn", "pages", "left"),
    [(0x205, 1, [1]), (0x400, 1, [2]), (0, 0x400, [1]), (0, 0x200, [1, 2]), (0, 1 << 30, [])],
)
def test_a_range_flush_takes_what_it_touches(gfn: int, pages: int, left: list[int]) -> None:
    tlb = Tlb()
    tlb.insert(0x200, 2, 0x400, PERM_R, False)
    tlb.insert(0x400, 1, 0x777, PERM_R, False)
    tlb.flush_range(gfn, pages)
    assert sorted(entry.level for entry in tlb.entries()) == left


def test_roots_are_tags() -> None:
    tlb = Tlb()
    tlb.insert(1, 1, 10, PERM_R, False, root=0x1000)
    tlb.insert(1, 1, 20, PERM_R, False, root=0x2000)
    assert (tlb.lookup(1, 0x1000) >> 4, tlb.lookup(1, 0x2000) >> 4, tlb.lookup(1)) == (10, 20, 0)
    assert [entry.root for entry in tlb.entries()] == [0x1000, 0x2000]
    tlb.flush_all()
    assert list(tlb.entries()) == []
    assert tlb.epoch == 1
