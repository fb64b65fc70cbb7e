# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/include/asm/uaccess.h: 8-byte words of user memory as the kernel reads and writes them.

A page that is not there is faulted in, unless the access is atomic (pagefault_disable()), and the
CPU sets accessed and dirty bits of the entry.  hva in bytes, a multiple of 8.
"""

from __future__ import annotations

from .gup import cpu_access
from .mm import Mm
from .pte import PTE_ACCESSED, PTE_DIRTY, PTE_PRESENT


def _frame(mm: Mm, hva: int, write: bool, atomic: bool = False) -> int:
    """The pfn behind an address; -1 for a fault."""
    if atomic and not mm.pt.page(hva) & PTE_PRESENT:
        return -1
    if mm.vmas.find(hva) is None:
        return -1
    pfn = cpu_access(mm, hva, write)
    if pfn >= 0:
        pte, level = mm.pt.leaf(hva)
        mm.pt.put_leaf(hva, level, pte | PTE_ACCESSED | (PTE_DIRTY if write else 0))
    return pfn


def user_load(mm: Mm, hva: int, atomic: bool) -> int | None:
    """The word at `hva`; None for a fault."""
    pfn = _frame(mm, hva, False, atomic)
    if pfn < 0:
        return None
    return mm.contents.word(mm.frames.data(pfn), hva >> 3 & 511)


def user_store(mm: Mm, hva: int, value: int) -> bool:
    """Writes the word; False for a fault."""
    pfn = _frame(mm, hva, True)
    if pfn < 0:
        return False
    store_word(mm, pfn, hva >> 3 & 511, value)
    return True


def user_cmpxchg(mm: Mm, hva: int, old: int, new: int) -> int | None:
    """Writes the word if it is `old`; what it was, None for a fault."""
    pfn = _frame(mm, hva, True)
    if pfn < 0:
        return None
    index = hva >> 3 & 511
    now = mm.contents.word(mm.frames.data(pfn), index)
    if now == old:
        store_word(mm, pfn, index, new)
    return now


def store_word(mm: Mm, pfn: int, index: int, value: int) -> None:
    """One word of a page changes."""
    mm.frames.set_data(pfn, mm.contents.with_word(mm.frames.data(pfn), index, value))
