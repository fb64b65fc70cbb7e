# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory.c, mm/huge_memory.c: page faults on host memory (hugetlb is in hugetlb.py).

Differences from Linux 6.1: a read fault where a THP fits maps a fresh zeroed huge page (the huge
zero page is not modelled), faults on shared memory map one page (no fault-around), allocation never
fails, and swap-in is instantaneous.  Where a fault waits for the monitor of a userfaultfd, that
answers at once: with a page of zeros, with the page that the page cache has, or by letting the page
be written (uffd.py).
"""

from __future__ import annotations

from .frames import ZERO_PFN
from .hugetlb import hugetlb_fault
from .mm import Mm
from .mmap import UFFD_RESOLVE, change_protection
from .pagetable import keys_in
from .pte import (
    PMD_PAGES,
    PMD_SIZE,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_EXCLUSIVE,
    PTE_HUGE,
    PTE_HWPOISON,
    PTE_MIGRATION,
    PTE_NONPRESENT,
    PTE_PRESENT,
    PTE_SPECIAL,
    PTE_SWAP,
    PTE_UFFD_WP,
    PTE_WRITE,
)
from .split import split_huge_pmd
from .vma import (
    VM_NOHUGEPAGE,
    VM_PFNMAP,
    VM_SHARED,
    VM_SHMEM_HUGE,
    VM_UFFD_MINOR,
    VM_UFFD_MISSING,
    VM_UFFD_WP,
    VM_WRITE,
    Vma,
)

VM_FAULT_HWPOISON = 1
VM_FAULT_RETRY = 2

YOUNG = PTE_PRESENT | PTE_ACCESSED
DIRTY = PTE_WRITE | PTE_DIRTY


def handle_mm_fault(mm: Mm, vma: Vma, addr: int, write: bool, nowait: bool = False) -> int:
    """Makes one step towards `addr` being accessible; 0 or VM_FAULT_*.

    The caller holds mmap_lock and has checked that the VMA permits the access.
    """
    if vma.level > 1:
        return hugetlb_fault(mm, vma, addr, write)
    index = addr >> 21
    huge = mm.pt.huge.get(index)
    if huge is not None:
        if huge & PTE_MIGRATION:
            return migration_entry_wait(mm)
        if write and huge & PTE_UFFD_WP and vma.flags & VM_UFFD_WP:
            return monitor_unprotects(mm, vma, addr, nowait)
        if not write or huge & PTE_WRITE:
            mm.pt.huge[index] = huge | PTE_ACCESSED | (PTE_DIRTY if write else 0)
            return 0
        if vma.flags & VM_SHARED:
            split_huge_pmd(mm, addr)
        elif do_huge_pmd_wp_page(mm, vma, addr, huge):
            return 0
    elif index not in mm.pt.tables and vma.thp_allowed(addr) and not vma.flags & VM_UFFD_MISSING:
        do_huge_pmd_anonymous_page(mm, vma, addr, write)
        return 0
    return handle_pte_fault(mm, vma, addr, write, nowait)


def migration_entry_wait(mm: Mm) -> int:
    """Sleeps until the page that is being migrated is unlocked."""
    mm.page_lock.lock()
    mm.page_lock.unlock()
    return 0


def do_huge_pmd_anonymous_page(mm: Mm, vma: Vma, addr: int, write: bool) -> None:
    """Maps a zeroed THP at an empty pmd."""
    head = mm.frames.alloc(PMD_PAGES)
    mm.ptl.lock()
    index = addr >> 21
    if index in mm.pt.huge or index in mm.pt.tables:
        mm.frames.unmap_run(head)
    else:
        vma.anon_vma = True
        flags = YOUNG | PTE_HUGE | PTE_EXCLUSIVE | PTE_DIRTY
        if vma.flags & VM_WRITE:
            flags |= PTE_WRITE
        mm.pt.set_huge(index, head << 12 | flags)
        mm.note(index << 21, (index + 1) << 21)
    mm.ptl.unlock()


def do_huge_pmd_wp_page(mm: Mm, vma: Vma, addr: int, orig: int) -> bool:
    """Write to a read-only THP: reuse if nobody else holds it, else split; False after a split."""
    mm.ptl.lock()
    index = addr >> 21
    if mm.pt.huge.get(index) != orig:
        mm.ptl.unlock()
        return True
    if orig & PTE_EXCLUSIVE or mm.frames.folio_count(orig >> 12, 2) == 1:
        mm.pt.huge[index] = orig | PTE_ACCESSED | DIRTY | PTE_EXCLUSIVE
        mm.note(index << 21, (index + 1) << 21)
        mm.ptl.unlock()
        return True
    mm.ptl.unlock()
    split_huge_pmd(mm, addr)
    return False


def handle_pte_fault(mm: Mm, vma: Vma, addr: int, write: bool, nowait: bool) -> int:
    """A fault at the level of 4K entries."""
    table = mm.pt.tables.get(addr >> 21)
    orig = table.get(addr >> 12, 0) if table is not None else 0
    if not orig:
        if vma.anonymous:
            return do_anonymous_page(mm, vma, addr, write, nowait)
        return do_fault(mm, vma, addr, write, nowait)
    if orig & PTE_NONPRESENT:
        return do_swap_page(mm, vma, addr, orig, write, nowait)
    if write and not orig & PTE_WRITE:
        return do_wp_page(mm, vma, addr, orig, nowait)
    if table is not None:
        table[addr >> 12] = orig | PTE_ACCESSED | (PTE_DIRTY if write else 0)
    return 0


def _install(mm: Mm, addr: int, orig: int, pte: int, cached: int = 0) -> bool:
    """Sets a 4K entry if it still is `orig`.  No notifier: nothing was mapped there.

    `cached`: the pfn that the page cache has to have still; a hole may have been punched.
    """
    mm.ptl.lock()
    if addr >> 21 in mm.pt.huge or mm.pt.table(addr >> 21).get(addr >> 12, 0) != orig:
        mm.ptl.unlock()
        return False
    if cached and mm.page_cache.get(addr >> 12, 0) >> 12 != cached:
        mm.ptl.unlock()
        return False
    mm.set_pte(addr & -4096, pte)
    mm.ptl.unlock()
    return True


def monitor_fills(mm: Mm, vma: Vma, addr: int, nowait: bool) -> int:
    """handle_userfault() of a page that is missing, or that the page cache has."""
    if nowait:
        return VM_FAULT_RETRY
    mm.point()
    if mm.page_cache.get(addr >> 12, 0):
        map_cached(mm, vma, addr)
    else:
        map_missing(mm, vma, addr, 0)
    return 0


def monitor_unprotects(mm: Mm, vma: Vma, addr: int, nowait: bool) -> int:
    """handle_userfault() of a write to a page that is write-protected."""
    if nowait:
        return VM_FAULT_RETRY
    mm.point()
    page = addr & -4096
    change_protection(mm, vma, page, page + 4096, UFFD_RESOLVE)
    return 0


def filled(mm: Mm, vma: Vma) -> int:
    """Flags of an entry that userfaultfd makes (mfill_atomic_install_pte())."""
    flags = PTE_ACCESSED | DIRTY | (0 if vma.flags & VM_SHARED else PTE_EXCLUSIVE)
    return mm.remap(vma, flags)


def map_missing(mm: Mm, vma: Vma, addr: int, value: int) -> bool:
    """Maps a fresh page that holds `value`; False if somebody was quicker."""
    pfn = mm.frames.alloc()
    mm.frames.set_data(pfn, value)
    if not vma.flags & VM_SHARED:
        vma.anon_vma = True
        done = _install(mm, addr, 0, pfn << 12 | filled(mm, vma))
        if not done:
            mm.frames.unmap_page(pfn)
        return done
    vpn = addr >> 12
    mm.page_cache[vpn] = pfn << 12 | PTE_PRESENT
    mm.frames.map_page(pfn)
    done = _install(mm, addr, 0, pfn << 12 | filled(mm, vma), pfn)
    if not done:
        mm.frames.unmap_page(pfn)
        if mm.page_cache.get(vpn, 0) >> 12 == pfn:
            del mm.page_cache[vpn]
            mm.frames.unmap_page(pfn)
    return done


def map_cached(mm: Mm, vma: Vma, addr: int) -> bool:
    """Maps what the page cache has; False if somebody was quicker."""
    pfn = cached_entry(mm, addr >> 12) >> 12
    if not pfn:
        return False
    mm.frames.map_page(pfn)
    done = _install(mm, addr, 0, pfn << 12 | filled(mm, vma), pfn)
    if not done:
        mm.frames.unmap_page(pfn)
    return done


def map_zero_page(mm: Mm, vma: Vma, addr: int) -> bool:
    """Maps the zero page; False if somebody was quicker."""
    return _install(mm, addr, 0, ZERO_PFN << 12 | mm.remap(vma, PTE_ACCESSED) | PTE_SPECIAL)


def cached_entry(mm: Mm, vpn: int) -> int:
    """What the page cache has, unlocked, read from swap if it is there; 0 for nothing."""
    cached = mm.page_cache.get(vpn, 0)
    while cached & PTE_MIGRATION:
        migration_entry_wait(mm)  # its huge page is being filled
        cached = mm.page_cache.get(vpn, 0)
    if cached & PTE_SWAP:
        cached = mm.page_cache[vpn] = swap_in(mm, cached >> 12) << 12 | PTE_PRESENT
        mm.frames.mark_dirty(cached >> 12)  # its slot in swap is gone
    return cached


def do_anonymous_page(mm: Mm, vma: Vma, addr: int, write: bool, nowait: bool) -> int:
    """First access: the zero page for a read, a zeroed page for a write."""
    if vma.flags & VM_UFFD_MISSING:
        return monitor_fills(mm, vma, addr, nowait)
    if not write:
        _install(mm, addr, 0, ZERO_PFN << 12 | YOUNG | PTE_SPECIAL)
        return 0
    pfn = mm.frames.alloc()
    vma.anon_vma = True
    if not _install(mm, addr, 0, pfn << 12 | YOUNG | DIRTY | PTE_EXCLUSIVE):
        mm.frames.unmap_page(pfn)
    return 0


def do_fault(mm: Mm, vma: Vma, addr: int, write: bool, nowait: bool) -> int:
    """First access to device memory or to a page of a file.

    Entries are as writable as the VMA; those of a file on a disk once they are dirty.
    """
    flags = YOUNG | (PTE_DIRTY if write else 0)
    if vma.flags & VM_WRITE and (write or not vma.wants_writenotify):
        flags |= PTE_WRITE
    vpn = addr >> 12
    if vma.flags & VM_PFNMAP:
        _install(mm, addr, 0, (vpn + vma.pfn_delta) << 12 | flags | PTE_SPECIAL)
        return 0
    cached = mm.page_cache.get(vpn, 0)
    if cached & PTE_HWPOISON:
        return VM_FAULT_HWPOISON
    if cached & PTE_MIGRATION:
        return migration_entry_wait(mm)
    if vma.flags & (VM_UFFD_MINOR if cached else VM_UFFD_MISSING):
        return monitor_fills(mm, vma, addr, nowait)
    cached = cached_entry(mm, vpn)
    if not cached and vma.flags & VM_SHMEM_HUGE and not vma.flags & VM_NOHUGEPAGE:
        cached = shmem_alloc_folio_huge(mm, vpn)
    if not cached:
        cached = mm.page_cache[vpn] = mm.frames.alloc() << 12 | PTE_PRESENT
        mm.frames.set_data(cached >> 12, mm.disk.get(vpn, 0))
    pfn = cached >> 12
    if write and vma.wants_writenotify:
        mm.frames.mark_dirty(pfn)  # page_mkwrite()
    if addr >> 21 not in mm.pt.tables and vma.fits_huge(addr) and whole_folio(mm, pfn):
        do_set_pmd(mm, addr, pfn, flags)
        return 0
    mm.frames.map_page(pfn)
    if not _install(mm, addr, 0, pfn << 12 | flags, pfn):
        mm.frames.unmap_page(pfn)
    return 0


def shmem_alloc_folio_huge(mm: Mm, vpn: int) -> int:
    """A zeroed huge page for the 2M around the page, unless something is there; its entry."""
    base = vpn & -PMD_PAGES
    if keys_in(mm.page_cache, base, base + PMD_PAGES):
        return 0
    head = mm.frames.alloc(PMD_PAGES)
    for page in range(PMD_PAGES):
        mm.page_cache[base + page] = head + page << 12 | PTE_PRESENT
    return mm.page_cache[vpn]


def whole_folio(mm: Mm, pfn: int) -> bool:
    """True if the page is part of a huge page, which the page cache has as one."""
    run = mm.frames.run(pfn)
    return run is not None and not run.split


def do_set_pmd(mm: Mm, addr: int, pfn: int, flags: int) -> None:
    """Maps the huge page of a file at an empty pmd."""
    base, head = addr & -PMD_SIZE, pfn & -PMD_PAGES
    mm.frames.map_run(head)
    mm.ptl.lock()
    index = addr >> 21
    empty = index not in mm.pt.huge and index not in mm.pt.tables
    done = empty and mm.page_cache.get(base >> 12, 0) >> 12 == head and whole_folio(mm, head)
    if done:
        mm.pt.set_huge(index, head << 12 | flags | PTE_HUGE)
        mm.note(base, base + PMD_SIZE)
    mm.ptl.unlock()
    if not done:
        mm.frames.unmap_run(head)


def swap_in(mm: Mm, number: int) -> int:
    """Reads a swap slot for one of its entries; the page comes with a mapping reference."""
    slot = mm.swap[number]
    if slot.cached >= 0:
        pfn = slot.cached
        slot.cached = -1
    else:
        pfn = mm.frames.alloc()
        mm.frames.set_data(pfn, slot.data)
    mm.swap_free(number)
    return pfn


def do_swap_page(mm: Mm, vma: Vma, addr: int, orig: int, write: bool, nowait: bool) -> int:
    """A fault on an entry that is neither none nor present."""
    if orig & PTE_MIGRATION:
        return migration_entry_wait(mm)
    if orig & PTE_HWPOISON:
        return VM_FAULT_HWPOISON
    slot = mm.swap[orig >> 12]
    if nowait and slot.cached < 0:
        return VM_FAULT_RETRY
    mm.ptl.lock()
    table = mm.pt.tables.get(addr >> 21)
    if table is None or table.get(addr >> 12, 0) != orig:
        mm.ptl.unlock()
        return 0
    pfn = swap_in(mm, orig >> 12)
    flags = YOUNG
    if orig & PTE_EXCLUSIVE or (slot.count == 0 and mm.frames.page_count(pfn) == 1):
        flags |= PTE_EXCLUSIVE | (DIRTY if write else 0)
    if orig & PTE_UFFD_WP:
        flags = flags & ~PTE_WRITE | PTE_UFFD_WP
    pte = pfn << 12 | flags
    vma.anon_vma = True
    mm.set_pte(addr & -4096, pte)
    mm.ptl.unlock()
    if write and not flags & PTE_WRITE:
        return do_wp_page(mm, vma, addr, pte, nowait)
    return 0


def do_wp_page(mm: Mm, vma: Vma, addr: int, orig: int, nowait: bool) -> int:
    """Write to a read-only page: reuse it silently where that is right, else copy it."""
    if orig & PTE_UFFD_WP and vma.flags & VM_UFFD_WP:
        return monitor_unprotects(mm, vma, addr, nowait)
    pfn = orig >> 12
    reuse = bool(vma.flags & VM_SHARED)
    if not reuse and not orig & PTE_SPECIAL and pfn not in mm.ksm:
        reuse = bool(orig & PTE_EXCLUSIVE) or mm.frames.folio_count(pfn) == 1
    if not reuse:
        return wp_page_copy(mm, vma, addr, orig)
    exclusive = 0 if vma.flags & VM_SHARED else PTE_EXCLUSIVE
    if vma.wants_writenotify:
        mm.frames.mark_dirty(pfn)  # page_mkwrite()
    _install(mm, addr, orig, orig | PTE_ACCESSED | DIRTY | exclusive)
    return 0


def wp_page_copy(mm: Mm, vma: Vma, addr: int, orig: int, unshare: bool = False) -> int:
    """Copies a page that others hold too and maps the copy: a bracket with a change_pte in it."""
    frames = mm.frames
    old = orig >> 12
    mm.sched.touch(("poisoned", old), False)
    if old in frames.poisoned:
        return VM_FAULT_HWPOISON
    base = addr & -4096
    new = frames.alloc()
    if old != ZERO_PFN:
        frames.get(old)
        frames.set_data(new, frames.data(old))
    vma.anon_vma = True
    mm.invalidate_range_start(base, base + 4096)
    mm.ptl.lock()
    table = mm.pt.tables.get(base >> 21)
    if table is not None and table.get(base >> 12, 0) == orig:
        flags = YOUNG | PTE_EXCLUSIVE | (orig & PTE_UFFD_WP if unshare else DIRTY)
        mm.set_pte_at_notify(base, new << 12 | flags)
        mm.unmap_entry(base, 1, orig)
    else:
        frames.unmap_page(new)
    mm.ptl.unlock()
    mm.invalidate_range_end(base, base + 4096)
    if old != ZERO_PFN:
        frames.put(old)
    return 0
