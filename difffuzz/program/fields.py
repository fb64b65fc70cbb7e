# SPDX-License-Identifier: GPL-2.0-only
"""The types of an operation's arguments: range, spelling, and the values worth trying.

Every argument is an int.  `FieldType.hot` lists the values that a random byte should mean: few, and
around the edges of 4K, 2M and 1G pages, so that operations of one program meet.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .guest_tables import ENTRY_WORDS, FLAG_WORDS, GVA_WORDS, ROOTS, TARGET_WORDS
from .limits import (
    AREA_PAGES,
    GFN_LIMIT,
    LOW_GFNS,
    MAX_MMU_PAGES,
    MAX_PREFAULT,
    MAX_SLOTS,
    N_AREAS,
    N_AS,
)


class FieldType(NamedTuple):
    """A type of argument: an int in low..high."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    """The spelling of low, low + 1, ...; empty for a number."""
    bits: tuple[str, ...] = ()
    """The spelling of bit 0, bit 1, ... of a set; empty if it is no set."""
    base: int = 10
    hot: tuple[int, ...] = ()
    """Values worth trying, best first; empty means the whole (small) range."""


class Field(NamedTuple):
    """An argument of an operation (or of a slot)."""

    name: str
    type: FieldType
    key: str = ""
    """The key in the text form, if it is not the name."""
    default: int | None = None
    """What a missing key means in the text form; None: it must be there."""
    bare: bool = False
    """The text form writes the value alone, without `key=`."""

    @property
    def text_key(self) -> str:
        """The key in the text form."""
        return self.key or self.name


_HOTTEST: Final = (0x0, 0x200, 0x1, 0x1FF, 0x400, 0x201, 0x40000, 0x2)


def _around(edges: tuple[int, ...], offsets: tuple[int, ...], limit: int) -> tuple[int, ...]:
    """The values edge + offset below the limit, without repeats; the hottest ones first."""
    values = [*_HOTTEST, *(edge + offset for offset in offsets for edge in edges)]
    return tuple(dict.fromkeys(v for v in values if 0 <= v < limit))


HOT_GFNS: Final = _around(
    (0x0, 0x200, 0x400, 0x40000, 0x80000, 0x3FE00, 0xC0000, LOW_GFNS),
    (0, 1, -1, 2, 3, 8, 0x40, 0x1FF),
    LOW_GFNS,
)
HOT_PAGES: Final = _around(
    (0x0, 0x200, 0x400, 0x40000, 0x3FE00, AREA_PAGES),
    (0, 1, -1, 2, 3, 8, 0x40),
    AREA_PAGES,
)
HOT_COUNTS: Final = (
    1, 2, 512, 8, 1, 64, 513, 1, 2, 3, 512, 1024, 1, 511, 4, 1025,
    0x40000, 0x40001, 0x3FE00, 0x80000,
)  # fmt: skip

GFN: Final = FieldType("gfn", 0, GFN_LIMIT - 1, base=16, hot=HOT_GFNS)
"""A guest frame number, in 4 KiB pages; it need not be one that the CPU can address
(Config.maxphyaddr)."""
PAGE: Final = FieldType("page", 0, AREA_PAGES - 1, base=16, hot=HOT_PAGES)
"""A page of an area (of a memslot where the key is `first`), in 4 KiB pages."""
COUNT: Final = FieldType("count", 1, LOW_GFNS, base=16, hot=HOT_COUNTS)
"""Pages of 4 KiB."""
HOST_COUNT: Final = FieldType("pages", 0, AREA_PAGES, base=16, hot=(*HOT_COUNTS, 0))
"""Pages of 4 KiB that the host does something to; none at all only if it may err."""
FEW: Final = FieldType("few", 1, MAX_PREFAULT, base=16, hot=(1, 2, 512, 8, 1, 1, 513, 3, 9, 64))
"""Pages of 4 KiB, each of which may take a fault of its own."""
MMU_PAGES: Final = FieldType(
    "mmu_pages", 0, MAX_MMU_PAGES, hot=(0, 64, 8, 65, 10, 66, 68, 12, 72, 80, 7, 1, 16, 96, 256)
)
"""Shadow pages of the legacy MMU."""
AREA: Final = FieldType("area", 0, N_AREAS - 1)
"""A host memory area."""
SLOT: Final = FieldType("slot", 0, MAX_SLOTS - 1)
"""A memslot's id in its address space."""
AS_ID: Final = FieldType("as", 0, N_AS - 1)
"""An address space: 1 is what a vCPU in SMM sees."""
ACCESS: Final = FieldType("access", 0, 2, words=("read", "write", "exec"))
"""What a guest does to memory."""
PROT: Final = FieldType("prot", 0, 2, words=("none", "r", "rw"))
"""PROT_NONE, PROT_READ, or PROT_READ and PROT_WRITE."""
BOOL: Final = FieldType("bool", 0, 1, words=("off", "on"))
"""No or yes."""
BRACKET: Final = FieldType("bracket", 0, 2, words=("whole", "start", "end"))
"""What of an invalidation is told; anything but all of it only if the host may err."""
UFFD: Final = FieldType(
    "uffd",
    0,
    8,
    words=("off", "missing", "minor", "wp", "copy", "zero", "continue", "protect", "unprotect"),
)
"""What is asked of a userfaultfd: to register a range or give it back, to fill or to protect it."""
FLAGS: Final = FieldType("flags", 0, 3, bits=("dirty", "readonly"))
"""A memslot's KVM_MEM_LOG_DIRTY_PAGES and KVM_MEM_READONLY."""

GVA: Final = FieldType("gva", 0, len(GVA_WORDS) - 1, words=GVA_WORDS)
"""An address: the place in the tables of the four levels, from the root down."""
ENTRY: Final = FieldType("entry", 0, len(ENTRY_WORDS) - 1, words=ENTRY_WORDS)
"""An entry of the guest's tables: the table's letter and the place in it."""
TARGET: Final = FieldType("target", 0, len(TARGET_WORDS) - 1, words=TARGET_WORDS)
"""What an entry points to: nothing, a table, or a gfn."""
PTE_FLAGS: Final = FieldType("pte_flags", 0, (1 << len(FLAG_WORDS)) - 1, bits=FLAG_WORDS)
"""Present, writable, user, accessed, dirty, large, no execution."""
ROOT: Final = FieldType("root", 0, len(ROOTS) - 1, words=ROOTS)
"""A table that CR3, or an L1's pointer to tables, may name."""
CPL: Final = FieldType("cpl", 0, 1, words=("kernel", "user"))
"""The guest's mode: an access of user space or not."""
HOW: Final = FieldType("how", 0, 1, words=("mov", "slowly"))
"""By MOV, or by an instruction for which KVM unprotects the page."""
SWITCHED: Final = FieldType("switched", 0, 2, words=("wp", "smep", "nx"))
"""CR0.WP, CR4.SMEP, EFER.NX."""
