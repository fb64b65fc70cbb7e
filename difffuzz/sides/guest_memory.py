# SPDX-License-Identifier: GPL-2.0-only
"""What lies in the memory of a guest with page tables: entries, and the tables it begins with."""

from __future__ import annotations

from functools import cache
from typing import Final

from difffuzz.facts.paging import (
    PT64_NX_MASK,
    PT_ACCESSED_MASK,
    PT_DIRTY_MASK,
    PT_PAGE_SIZE_MASK,
    PT_PRESENT_MASK,
    PT_USER_MASK,
    PT_WRITABLE_MASK,
)
from difffuzz.machine.content import Contents
from difffuzz.program.guest_tables import (
    DIRECT_INDEX,
    DIRECT_PMDS,
    DIRECT_PUD,
    FLAG_WORDS,
    HOME_ROOTS,
    LATE_GFN,
    TABLES,
    TARGETS,
    index,
)

FLAG_BITS: Final = (
    PT_PRESENT_MASK,
    PT_WRITABLE_MASK,
    PT_USER_MASK,
    PT_ACCESSED_MASK,
    PT_DIRTY_MASK,
    PT_PAGE_SIZE_MASK,
    PT64_NX_MASK,
)
"""In the order of FLAG_WORDS."""
EPT_FLAG_BITS: Final = (1 << 0, 1 << 1, 1 << 2, 1 << 8, 1 << 9, 1 << 7, 0)
"""The same in an EPT: readable, writable, executable, accessed, dirty; nx takes executable away."""
_EXECUTABLE: Final = 1 << 2
_NX: Final = FLAG_WORDS.index("nx")
USUAL: Final = PT_PRESENT_MASK | PT_WRITABLE_MASK | PT_USER_MASK
LINKS: Final = {
    "A": ("C", "D"),
    "B": ("D", "C"),
    "C": ("E", "F"),
    "D": ("F", "E"),
    "E": ("G", "H"),
    "F": ("I",),
}
"""Which tables the entries of the upper ones point to at first."""
LEAVES: Final = {
    "F": (0, 0x200),
    "G": (0x10, 0x11, 0x12, 0x13),
    "H": (0x200, 0x201, 0x400, 0x11),
    "I": (LATE_GFN + 1, 0x12, 0x3FF, 0xFEE00),
}
"""gfns that entries map at first; those of a directory by a large page."""


def entry_value(target: int, flags: int, ept: bool = False) -> int:
    """The entry for a place in TARGETS and a set of FLAG_WORDS; `ept`: of an EPT, uncached."""
    gfn = TARGETS[target]
    if gfn < 0:
        return 0
    bits = EPT_FLAG_BITS if ept else FLAG_BITS
    entry = gfn << 12 | sum(bit for n, bit in enumerate(bits) if flags >> n & 1)
    return entry & ~_EXECUTABLE if ept and flags >> _NX & 1 else entry


def first_words() -> dict[int, dict[int, int]]:
    """Words of all tables when the guest begins, by gfn and index."""
    words = _tables()
    return words | _direct_map(words)


def _tables() -> dict[int, dict[int, int]]:
    """Words of the tables when the guest begins, by gfn and index."""
    words: dict[int, dict[int, int]] = {}
    for letter, pages in LEAVES.items():
        large = PT_PAGE_SIZE_MASK if letter in LINKS else 0
        words[TABLES[letter]] = {index(n): gfn << 12 | USUAL | large for n, gfn in enumerate(pages)}
    for letter, targets in LINKS.items():
        table = words.setdefault(TABLES[letter], {})
        table |= {index(n): TABLES[to] << 12 | USUAL for n, to in enumerate(targets)}
    return words


@cache
def first_pages(nested: bool = False) -> tuple[tuple[int, int, dict[int, int]], ...]:
    """The same as pages: gfn, the number of the content, its words.  Tables that an L1 has for its
    L2 have no direct map; in an EPT the usual bits mean readable, writable and executable."""
    contents = Contents()
    found = _tables() if nested else first_words()
    made = [(gfn, contents.number(words)) for gfn, words in found.items()]
    return tuple((gfn, number, contents.words(number)) for gfn, number in made)


def _direct_map(words: dict[int, dict[int, int]]) -> dict[int, dict[int, int]]:
    """All of memory by pages of 2M for the kernel, by one entry of each root in the home slot."""
    kernel = PT_PRESENT_MASK | PT_WRITABLE_MASK | PT_ACCESSED_MASK
    leaf = kernel | PT_PAGE_SIZE_MASK | PT_DIRTY_MASK
    for letter in HOME_ROOTS:
        words[TABLES[letter]][DIRECT_INDEX] = DIRECT_PUD << 12 | kernel
    made = {DIRECT_PUD: {n: gfn << 12 | kernel for n, gfn in enumerate(DIRECT_PMDS)}}
    for n, gfn in enumerate(DIRECT_PMDS):
        made[gfn] = {i: (n << 30 | i << 21) | leaf for i in range(512)}
    return made
