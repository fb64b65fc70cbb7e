# SPDX-License-Identifier: GPL-2.0-only
"""fs/userfaultfd.c, mm/userfaultfd.c: what the monitor of an area asks for.

Memory is registered for pages that are missing, for pages that the page cache has though no entry
maps them (minor faults), or for writes to pages that are write-protected.  A fault that has to wait
for the monitor is answered at once (fault.py), so that no thread waits for ever: what the monitor
does before, by an operation, spares the fault the wait.  One that may not wait is told to retry.

Differences from Linux 6.1: hugetlb memory is not registered, nor is shmem for write protection
(as without CONFIG_PTE_MARKER_UFFD_WP); and an ioctl that filled a part says why it stopped, not how
far it came.
"""

from __future__ import annotations

from difffuzz.facts.errno import EEXIST, EFAULT, EINVAL, EIO, ENOENT

from .fault import cached_entry, map_cached, map_missing, map_zero_page
from .mm import Mm
from .mmap import UFFD_PROTECT, UFFD_RESOLVE, change_protection, isolate
from .pte import PTE_HWPOISON
from .vma import UFFD_FLAGS, VM_SHARED, VM_UFFD_MINOR, VM_UFFD_MISSING, VM_UFFD_WP, Vma

OFF, MISSING, MINOR, WP, COPY, ZERO, CONTINUE, PROTECT, UNPROTECT = range(9)
"""What is asked for, as a program says it: the first four register a range or take it back."""
MODES = (0, VM_UFFD_MISSING, VM_UFFD_MINOR, VM_UFFD_WP)


def uffd(mm: Mm, start: int, end: int, what: int, value: int) -> int:
    """0 or -errno.  `value`: what a copied page holds."""
    if what <= WP:
        mm.mmap_lock.down_write()
        answer = register(mm, start, end, MODES[what])
        mm.mmap_lock.up_write()
        return answer
    mm.mmap_lock.down_read()
    answer = -ENOENT
    vma = mm.vmas.find(start)
    if vma is not None and vma.contains(start, end) and vma.flags & UFFD_FLAGS:
        if what >= PROTECT:
            answer = writeprotect(mm, vma, start, end, what == PROTECT)
        else:
            answer = fill(mm, vma, start, end, what, value)
    mm.mmap_lock.up_read()
    return answer


def can_userfault(vma: Vma, mode: int) -> bool:
    """vma_can_userfault()."""
    if mode == VM_UFFD_MINOR:
        return vma.is_shmem
    return vma.anonymous or (vma.is_shmem and mode != VM_UFFD_WP)


def register(mm: Mm, start: int, end: int, mode: int) -> int:
    """UFFDIO_REGISTER, which takes the place of an earlier one, or UFFDIO_UNREGISTER."""
    vmas = mm.vmas.overlapping(start, end)
    if not vmas:
        return -EINVAL
    if not all(can_userfault(vma, mode) for vma in vmas):
        return -EINVAL
    changed = []
    for vma in vmas:
        if vma.flags & UFFD_FLAGS == mode:
            continue
        if not mode and vma.flags & VM_UFFD_WP:
            change_protection(mm, vma, max(start, vma.start), min(end, vma.end), UFFD_RESOLVE)
        part = isolate(mm, vma, start, end)
        part.flags = part.flags & ~UFFD_FLAGS | mode
        changed.append(part)
    mm.vmas.merge_all(changed)
    return 0


def writeprotect(mm: Mm, vma: Vma, start: int, end: int, on: bool) -> int:
    """UFFDIO_WRITEPROTECT: what is mapped becomes read-only, or may be written again."""
    if not vma.flags & VM_UFFD_WP:
        return -ENOENT
    change_protection(mm, vma, start, end, UFFD_PROTECT if on else UFFD_RESOLVE)
    return 0


def fill(mm: Mm, vma: Vma, start: int, end: int, what: int, value: int) -> int:
    """UFFDIO_COPY, UFFDIO_ZEROPAGE or UFFDIO_CONTINUE: page by page, up to the first that fails."""
    if what == CONTINUE and not vma.is_shmem:
        return -EINVAL
    for addr in range(start, end, 4096):
        if mm.pt.leaf(addr)[0]:
            return -EEXIST
        if what == CONTINUE:
            cached = cached_entry(mm, addr >> 12)
            if not cached or cached & PTE_HWPOISON:
                return -EIO if cached else -EFAULT
            done = map_cached(mm, vma, addr)
        elif vma.flags & VM_SHARED and mm.page_cache.get(addr >> 12, 0):
            return -EEXIST
        elif what == ZERO and not vma.flags & VM_SHARED:
            done = map_zero_page(mm, vma, addr)
        else:
            done = map_missing(mm, vma, addr, value if what == COPY else 0)
        if not done:
            return -EEXIST
        mm.point()
    return 0
