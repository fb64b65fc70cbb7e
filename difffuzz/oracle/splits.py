# SPDX-License-Identifier: GPL-2.0-only
"""Which page tables took the place of a writable huge page: what they map was writable before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from difffuzz.facts.paging import PAGE_SHIFT, PT_PAGE_SIZE_MASK, PT_WRITABLE_MASK
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK, SPTE_MMU_PRESENT_MASK

_HUGE: Final = SPTE_MMU_PRESENT_MASK | PT_PAGE_SIZE_MASK | PT_WRITABLE_MASK


def split_tables(log: Iterable[tuple[int, int, int]]) -> set[int]:
    """Numbers of the tables that replaced a writable huge leaf, and of those below such.

    `log`: (address of the SPTE, old, new) of the changes of one operation, in any order: a 1G page
    may be split down to 4K at once, and a log that compares before and after has no 2M leaf then.
    """
    above: dict[int, int] = {}
    found: set[int] = set()
    for ptr, old, new in log:
        if new & SPTE_MMU_PRESENT_MASK and not new & PT_PAGE_SIZE_MASK:
            table = (new & SPTE_BASE_ADDR_MASK) >> PAGE_SHIFT
            above[table] = ptr >> PAGE_SHIFT
            if old & _HUGE == _HUGE:
                found.add(table)
    for table in above:
        way = [table]
        while way[-1] in above and way[-1] not in found and len(way) <= len(above):
            way.append(above[way[-1]])
        if way[-1] in found:
            found.update(way)
    return found
