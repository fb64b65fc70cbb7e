# SPDX-License-Identifier: GPL-2.0-only
"""Page tables of a guest's own: the fixed pages that they lie in, and how programs name entries.

A guest with paging has ten pages of tables, which have letters.  Programs change their entries;
what an entry can point to is a table or one of a few pages.  Addresses are four numbers, the places
in the tables of the four levels, from the root down.  Word 0 of a page is what guests write as
data, so that place n of a table is word n + 1.

The guest reaches its tables through a direct map of all of its memory, which programs cannot name.
"""

from __future__ import annotations

from itertools import product
from typing import Final

LATE_GFN: Final = 0x600
"""Of the table that lies where the home slot is not."""
TABLES: Final = {
    **{letter: gfn for gfn, letter in enumerate("ABCDEFGHI")},
    "L": LATE_GFN,
}
"""gfn of each table: two roots, two tables of the third level, directories and tables of leaves."""
HOME_ROOTS: Final = ("A", "B")
ROOTS: Final = (*HOME_ROOTS, "L")
"""What CR3, or the pointer to an L1's tables for its L2, can be: also where no memory may be."""
DIRECT_PUD: Final = 9
"""gfn of the table that the direct map hangs at ..."""
DIRECT_PMDS: Final = (10, 11, 12, 13)
"""... and of its directories, one for each 1G."""
DIRECT_BASE: Final = 0xFFFF800000000000
"""First address of the direct map: that of gpa 0."""
DIRECT_INDEX: Final = 256
"""Its place in the root."""
HOME_PAGES: Final = 0x40
"""The home slot, which is always there, has so many pages at least."""

PLACES: Final = 4
"""Places of a table that programs name."""
SHAPE: Final = (2, 2, 2, 4)
"""Of those, how many an address can name on each level, from the root down."""
ADDRESSES: Final = tuple(product(*(range(n) for n in SHAPE)))
"""Every address that a program can name."""
GVA_WORDS: Final = tuple(".".join(map(str, address)) for address in ADDRESSES)
ENTRIES: Final = tuple((letter, n) for letter in TABLES for n in range(PLACES))
ENTRY_WORDS: Final = tuple(f"{letter}.{n}" for letter, n in ENTRIES)

PAGES: Final = (0x10, 0x11, 0x12, 0x13, 0x200, 0x201, 0x3FF, 0x400, LATE_GFN + 1, 0x800, 0xFEE00)
"""Pages that are no tables: of the home slot, where memslots come and go, and where none is."""
TARGETS: Final = (-1, *TABLES.values(), *PAGES)
"""What an entry can point to, by gfn; -1: it is 0."""
TARGET_WORDS: Final = ("none", *TABLES, *(f"{gfn:#x}" for gfn in PAGES))

FLAG_WORDS: Final = ("p", "w", "u", "a", "d", "ps", "nx")


def index(place: int) -> int:
    """The word of a table at a place that programs name."""
    return place + 1


def gva_of(number: int) -> int:
    """The address (bytes) of a program's address by its place in ADDRESSES."""
    gva = 0
    for level, place in zip((4, 3, 2, 1), ADDRESSES[number], strict=True):
        gva |= index(place) << 12 + 9 * (level - 1)
    return gva


GVAS: Final = tuple(gva_of(number) for number in range(len(ADDRESSES)))
"""Addresses in bytes, in the order of ADDRESSES."""
NUMBERS: Final = {gva: number for number, gva in enumerate(GVAS)}


def entry_gpa(number: int) -> int:
    """The gpa (bytes) of an entry by its place in ENTRIES."""
    letter, place = ENTRIES[number]
    return (TABLES[letter] << 12) + 8 * index(place)
