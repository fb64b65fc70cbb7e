# SPDX-License-Identifier: GPL-2.0-only
"""Which tables took the place of a writable huge page, from a log of SPTE changes in any order."""

from __future__ import annotations

from itertools import permutations

from difffuzz.facts.paging import PT_PAGE_SIZE_MASK, PT_WRITABLE_MASK
from difffuzz.facts.spte import SPTE_MMU_PRESENT_MASK
from difffuzz.oracle.splits import split_tables

Change = tuple[int, int, int]
ROOT, MIDDLE, LOW, OTHER = (0x100000 + n for n in range(4))
HUGE = SPTE_MMU_PRESENT_MASK | PT_PAGE_SIZE_MASK | PT_WRITABLE_MASK


def leads(table: int, below: int, old: int) -> Change:
    """An entry of the table leads to the table `below` now."""
    return table << 12, old, below << 12 | SPTE_MMU_PRESENT_MASK


def test_a_table_in_the_place_of_a_writable_huge_page() -> None:
    assert split_tables([leads(ROOT, LOW, HUGE)]) == {LOW}
    assert split_tables([leads(ROOT, LOW, HUGE & ~PT_WRITABLE_MASK)]) == set()
    assert split_tables([leads(ROOT, LOW, 0)]) == set()


def test_tables_below_it_in_any_order() -> None:
    log = [leads(ROOT, MIDDLE, HUGE), leads(MIDDLE, LOW, 0), leads(ROOT, OTHER, 0)]
    for order in permutations(log):
        assert split_tables(order) == {MIDDLE, LOW}


def test_a_log_that_leads_in_circles_ends() -> None:
    assert split_tables([leads(LOW, MIDDLE, 0), leads(MIDDLE, LOW, 0)]) == set()
