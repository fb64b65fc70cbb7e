# SPDX-License-Identifier: GPL-2.0-only
"""mm/ksm.c: two anonymous pages with equal content become one read-only page."""

from __future__ import annotations

from .fault import wp_page_copy
from .mm import Mm
from .pte import (
    PTE_DIRTY,
    PTE_EXCLUSIVE,
    PTE_FLAGS,
    PTE_MAPPED,
    PTE_PROTNONE,
    PTE_SPECIAL,
    PTE_WRITE,
)
from .split import split_huge_page


def ksm_merge(mm: Mm, addr: int, other: int) -> bool:
    """Makes `other` map the page of `addr` if both hold the same data; True if it does.

    try_to_merge_two_pages(): the page of `addr` is write-protected and becomes the KSM page, then
    `other` is write-protected and switched to it, each in a bracket of its own.
    """
    mm.mmap_lock.down_read()
    merged = False
    if addr != other and anon_pfn(mm, addr) and anon_pfn(mm, other):
        kpfn = anon_pfn(mm, addr)
        frames = mm.frames
        if kpfn != anon_pfn(mm, other) and frames.data(kpfn) == frames.data(anon_pfn(mm, other)):
            merged = merge_two_pages(mm, addr, other)
    mm.mmap_lock.up_read()
    return merged


def anon_pfn(mm: Mm, addr: int) -> int:
    """The pfn of the anonymous page at `addr` that KSM could take, or 0."""
    vma = mm.vmas.find(addr)
    pte = mm.pt.page(addr)
    if vma is None or not vma.anonymous or not pte & PTE_MAPPED or pte & PTE_SPECIAL:
        return 0
    return pte >> 12


def merge_two_pages(mm: Mm, addr: int, other: int) -> bool:
    """try_to_merge_two_pages(), or try_to_merge_with_ksm_page() if one is a KSM page already."""
    if anon_pfn(mm, addr) not in mm.ksm:
        if anon_pfn(mm, other) in mm.ksm:
            addr, other = other, addr
        elif not merge_one_page(mm, addr, 0):
            return False
    kpfn = anon_pfn(mm, addr)
    if kpfn in mm.ksm and merge_one_page(mm, other, kpfn):
        return True
    if len(mm.ksm.get(kpfn, ())) == 1:
        break_ksm(mm, addr)
    return False


def merge_one_page(mm: Mm, addr: int, kpfn: int) -> bool:
    """try_to_merge_one_page(): makes the page at `addr` a KSM page, or maps `kpfn` instead."""
    mm.page_lock.lock()
    pfn = anon_pfn(mm, addr)
    done = False
    run = mm.frames.run(pfn)
    if pfn and (run is None or run.split or split_huge_page(mm, addr)):
        orig = write_protect_page(mm, addr, pfn)
        if orig and not kpfn:
            if mm.pt.leaf(addr) == (orig, 1):
                mm.ksm[pfn] = {addr >> 12}
                mm.frames.mark_dirty(pfn)
                done = True
        elif orig and mm.frames.data(pfn) == mm.frames.data(kpfn):
            done = replace_page(mm, addr, kpfn, orig)
    mm.page_lock.unlock()
    return done


def write_protect_page(mm: Mm, addr: int, pfn: int) -> int:
    """Makes the entry read-only and clean; returns it, or 0 if the page is pinned."""
    mm.invalidate_range_start(addr, addr + 4096)
    mm.ptl.lock()
    pte, level = mm.pt.leaf(addr)
    if level != 1 or not pte & PTE_MAPPED or pte >> 12 != pfn:
        pte = 0
    elif pte & (PTE_WRITE | PTE_DIRTY | PTE_EXCLUSIVE):
        if mm.frames.pins(pfn):
            pte = 0
        else:
            if pte & PTE_DIRTY:
                mm.frames.mark_dirty(pfn)
            pte &= ~(PTE_WRITE | PTE_DIRTY | PTE_EXCLUSIVE)
            mm.set_pte_at_notify(addr, pte)
    mm.ptl.unlock()
    mm.invalidate_range_end(addr, addr + 4096)
    return pte


def replace_page(mm: Mm, addr: int, kpfn: int, orig: int) -> bool:
    """Switches the read-only entry to the KSM page."""
    done = False
    mm.invalidate_range_start(addr, addr + 4096)
    mm.ptl.lock()
    pte, level = mm.pt.leaf(addr)
    if level == 1 and pte == orig and kpfn in mm.ksm:
        mm.frames.map_page(kpfn)
        mm.ksm[kpfn].add(addr >> 12)
        mm.set_pte_at_notify(addr, kpfn << 12 | pte & PTE_FLAGS)
        mm.unmap_entry(addr, 1, orig)
        done = True
    mm.ptl.unlock()
    mm.invalidate_range_end(addr, addr + 4096)
    return done


def break_ksm(mm: Mm, addr: int) -> None:
    """A KSM page with a single mapping is made an ordinary page again, by copying it."""
    vma = mm.vmas.find(addr)
    pte = mm.pt.page(addr)
    if vma is not None and pte & PTE_MAPPED and not pte & PTE_PROTNONE:
        wp_page_copy(mm, vma, addr, pte, unshare=True)
