# SPDX-License-Identifier: GPL-2.0-only
"""mm/gup.c and follow_pte(): how KVM and the host's own CPUs reach pages of the process."""

from __future__ import annotations

from difffuzz.facts.errno import EFAULT, EHWPOISON

from .fault import VM_FAULT_HWPOISON, VM_FAULT_RETRY, handle_mm_fault
from .mm import Mm
from .pagetable import HOST_PAGE_TABLE, PAGE_FLAGS
from .pte import PTE_ACCESSED, PTE_DIRTY, PTE_PRESENT, PTE_SPECIAL, PTE_WRITE
from .vma import VM_IO, VM_PFNMAP, VM_READ, VM_WRITE


def get_user_page_fast_only(mm: Mm, addr: int, write: bool) -> int:
    """The pfn mapped at `addr`, with a reference, or -1.  Takes no lock and never faults."""
    mm.sched.touch(HOST_PAGE_TABLE, False)
    index = addr >> 21
    pt = mm.pt
    table = pt.tables.get(index)
    if table is not None:
        pte = table.get(addr >> 12, 0)
    elif index in pt.huge or addr >> 30 in pt.gig:
        pte = pt.page(addr)
    else:
        return -1
    if not pte & PTE_PRESENT or pte & PTE_SPECIAL or (write and not pte & PTE_WRITE):
        return -1
    pfn = pte >> 12
    mm.frames.get(pfn)
    return pfn


def get_user_pages_locked(mm: Mm, addr: int, write: bool, nowait: bool) -> tuple[int, int]:
    """__get_user_pages() of one page, mmap_lock held; see get_user_pages_unlocked()."""
    while True:
        mm.sched.touch(HOST_PAGE_TABLE, False)
        vma = mm.vmas.find(addr)
        if vma is None or vma.flags & (VM_IO | VM_PFNMAP):
            return -EFAULT, 0
        if not vma.flags & (VM_WRITE if write else VM_READ):
            return -EFAULT, 0
        pte = mm.pt.page(addr)
        if pte & PTE_PRESENT and (not write or pte & PTE_WRITE):
            pfn = pte >> 12
            mm.frames.get(pfn)
            mm.sched.touch((PAGE_FLAGS, mm.frames.folio(pfn)), False)
            mm.frames.mark_accessed(pfn)
            if write:
                mm.frames.mark_dirty(pfn)
            return 1, pfn
        fault = handle_mm_fault(mm, vma, addr, write, nowait)
        if fault == VM_FAULT_HWPOISON:
            return -EHWPOISON, 0
        if fault == VM_FAULT_RETRY:
            return 0, 0


def get_user_pages_unlocked(mm: Mm, addr: int, write: bool, nowait: bool) -> tuple[int, int]:
    """Faults the page at `addr` in: (1, pfn) with a reference, or (0 or -errno, 0).

    0: `nowait` and the page is in swap.  -EHWPOISON: poisoned.  -EFAULT: no VMA, no permission, or
    memory without struct pages.
    """
    mm.mmap_lock.down_read()
    result = get_user_pages_locked(mm, addr, write, nowait)
    mm.mmap_lock.up_read()
    return result


def check_user_page_hwpoison(mm: Mm, addr: int) -> bool:
    """True if a write to `addr` would meet a poisoned page; mmap_lock held.  Faults the page in."""
    npages, pfn = get_user_pages_locked(mm, addr, True, False)
    if npages == 1:
        mm.frames.put(pfn)
    return npages == -EHWPOISON


def follow_pte(mm: Mm, addr: int) -> int:
    """The 4K entry at `addr` if it is present, else 0; mmap_lock held."""
    table = mm.pt.tables.get(addr >> 21)
    pte = table.get(addr >> 12, 0) if table is not None else 0
    return pte if pte & PTE_PRESENT else 0


def fixup_user_fault(mm: Mm, addr: int, write: bool) -> int:
    """Faults `addr` in as the CPU would; 0 or -EFAULT; mmap_lock held."""
    vma = mm.vmas.find(addr)
    if vma is None or not vma.flags & (VM_WRITE if write else VM_READ):
        return -EFAULT
    return -EFAULT if handle_mm_fault(mm, vma, addr, write) else 0


def cpu_access(mm: Mm, addr: int, write: bool) -> int:
    """An access of a host CPU with its page faults: the pfn, or -1 for a signal."""
    while True:
        mm.sched.touch(HOST_PAGE_TABLE, False)
        pte = mm.pt.page(addr)
        if pte & PTE_PRESENT and (not write or pte & PTE_WRITE):
            return pte >> 12
        mm.mmap_lock.down_read()
        result = fixup_user_fault(mm, addr, write)
        mm.mmap_lock.up_read()
        if result:
            return -1


def copy_to_user(mm: Mm, addr: int, value: int) -> bool:
    """Writes `value` to the page at `addr`; False if the access faults."""
    pfn = cpu_access(mm, addr, True)
    if pfn < 0:
        return False
    _touch(mm, addr, True)
    mm.sched.touch(("frame", pfn))
    mm.frames.set_data(pfn, value)
    return True


def copy_from_user(mm: Mm, addr: int) -> int | None:
    """Reads the page at `addr`; None if the access faults."""
    pfn = cpu_access(mm, addr, False)
    if pfn < 0:
        return None
    _touch(mm, addr, False)
    mm.sched.touch(("frame", pfn), False)
    return mm.frames.data(pfn)


def _touch(mm: Mm, addr: int, write: bool) -> None:
    """Sets the accessed and dirty bits that the CPU sets."""
    pte, level = mm.pt.leaf(addr)
    mm.pt.put_leaf(addr, level, pte | PTE_ACCESSED | (PTE_DIRTY if write else 0))
