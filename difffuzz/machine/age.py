# SPDX-License-Identifier: GPL-2.0-only
"""mm/rmap.c, mm/page_idle.c: which pages were used.  Notifiers run under the page table lock.

The kernel makes one call a page; neighbouring 4K pages share a call here.
"""

from __future__ import annotations

from .mm import Mm
from .pagetable import PAGE_FLAGS
from .pte import LEVEL_SHIFT, PTE_ACCESSED, PTE_MAPPED

HOST_YOUNG = 1
"""The accessed bit of the host's own entry was set."""
KVM_YOUNG = 2
"""A notifier said so."""
PAGE_YOUNG = 4
"""The page was marked accessed since (PG_referenced, or it is no longer idle): KVM does so when an
SPTE with the accessed bit goes."""


def mapped_ranges(mm: Mm, start: int, end: int) -> list[tuple[int, int]]:
    """Mapped ranges of pages, whole huge pages and joined runs of 4K pages inside one table."""
    ranges: list[tuple[int, int]] = []
    for addr, level in mm.pt.mapped(start, end):
        if not mm.pt.leaf(addr)[0] & PTE_MAPPED:
            continue
        last = addr + (1 << LEVEL_SHIFT[level])
        if level == 1 and ranges and ranges[-1][1] == addr and addr & 0x1FFFFF:
            ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((addr, last))
    return ranges


def clear_accessed(mm: Mm, start: int, end: int) -> int:
    """Clears the host's own accessed bits; 1 if any was set."""
    young = 0
    for addr, level in mm.pt.mapped(start, end):
        pte = mm.pt.leaf(addr)[0]
        if pte & PTE_MAPPED and pte & PTE_ACCESSED:
            mm.pt.put_leaf(addr, level, pte & ~PTE_ACCESSED)
            young = 1
    return young


def clear_referenced(mm: Mm, start: int, end: int) -> int:
    """folio_test_clear_referenced() of each page; 1 if any was."""
    young = 0
    for addr, _ in mm.pt.mapped(start, end):
        pte = mm.pt.leaf(addr)[0]
        folio = mm.frames.folio(pte >> 12)
        mm.sched.touch((PAGE_FLAGS, folio))
        if pte & PTE_MAPPED and folio in mm.frames.accessed:
            mm.frames.accessed.discard(folio)
            young = 1
    return young


def age(mm: Mm, start: int, end: int, flush: bool) -> int:
    """folio_referenced() with `flush`, else page_idle or DAMON: who found any page young."""
    young = 0
    for first, last in mapped_ranges(mm, start, end):
        mm.ptl.lock()
        if clear_accessed(mm, first, last):
            young |= HOST_YOUNG
        for notifier in mm.notifiers:
            clear = notifier.clear_flush_young if flush else notifier.clear_young
            if clear(first, last):
                young |= KVM_YOUNG
        if clear_referenced(mm, first, last):
            young |= PAGE_YOUNG
        mm.ptl.unlock()
    return young


def test_age(mm: Mm, addr: int) -> int:
    """Who finds the page at `addr` young; KVM is asked if the host's own table does not."""
    pte = mm.pt.leaf(addr)[0]
    if not pte & PTE_MAPPED:
        return 0
    young = 0
    if pte & PTE_ACCESSED:
        young = HOST_YOUNG
    elif any(notifier.test_young(addr) for notifier in mm.notifiers):
        young = KVM_YOUNG
    folio = mm.frames.folio(mm.pt.page(addr) >> 12)
    mm.sched.touch((PAGE_FLAGS, folio))
    if folio in mm.frames.accessed:
        young |= PAGE_YOUNG
    return young
