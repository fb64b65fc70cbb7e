# SPDX-License-Identifier: GPL-2.0-only
"""HostMM: the host process as KVM, the engine and the oracles see it.

KVM's calls are named as in the kernel, host operations as in a program.  Addresses are hva bytes,
ranges are [start, end) inside one area.  An operation for which nothing suitable is mapped does
nothing.  Every operation calls the notifiers where Linux 6.1 calls them.
"""

from __future__ import annotations

from . import age as _age
from . import cold, gup, hwpoison, khugepaged, ksm, madvise, migrate, mmap, swap, truncate
from . import fork as _fork
from . import mremap as _mremap
from . import uffd as _uffd
from . import writeback as _writeback
from .frames import Frames
from .mm import Mm, MmuNotifier
from .pagetable import PAGE_FLAGS
from .pte import (
    PMD_SIZE,
    PTE_ACCESSED,
    PTE_DIRTY,
    PTE_HUGE,
    PTE_MAPPED,
    PTE_PRESENT,
    PTE_SPECIAL,
    PTE_SWAP,
    PTE_WRITE,
    pte_pfn,
    pte_write,
)
from .split import split_huge_pmd
from .vma import (
    AREA_PAGES,
    VM_FILE,
    VM_IO,
    VM_PFNMAP,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
    Vma,
    area_base,
    area_of,
)
from .zap import unmap_single_vma


class HostMM(Mm):
    """One host process with its areas mapped readable and writable, and its frames.

    `areas` are the kinds of the areas: thp, 4k, hugetlb2m, hugetlb1g, shared, pfnmap, file.
    `changed` grows by (start, end) hva ranges whose entries changed; the engine empties it.
    """

    __slots__ = ()

    def register(self, notifier: MmuNotifier) -> None:
        """mmu_notifier_register()."""
        self.notifiers.append(notifier)

    # What KVM calls.

    def get_user_page_fast_only(self, addr: int, write: bool) -> int:
        """The pfn mapped at `addr`, with a reference, or -1.  Takes no lock and never faults."""
        return gup.get_user_page_fast_only(self, addr, write)

    def get_user_pages_unlocked(self, addr: int, write: bool, nowait: bool) -> tuple[int, int]:
        """(1, pfn) with a reference, or (0, 0) if `nowait` and in swap, or (-errno, 0)."""
        return gup.get_user_pages_unlocked(self, addr, write, nowait)

    def check_user_page_hwpoison(self, addr: int) -> bool:
        """True if a write to `addr` meets a poisoned page; the caller holds mmap_lock."""
        return gup.check_user_page_hwpoison(self, addr)

    def follow_pte(self, addr: int) -> int:
        """The present 4K entry at `addr`, or 0; the caller holds mmap_lock."""
        return gup.follow_pte(self, addr)

    def fixup_user_fault(self, addr: int, write: bool) -> int:
        """Faults `addr` in: 0 or -EFAULT; the caller holds mmap_lock."""
        return gup.fixup_user_fault(self, addr, write)

    def vma_lookup(self, addr: int) -> Vma | None:
        """The VMA that holds `addr`, or None; the caller holds mmap_lock."""
        return self.vmas.find(addr)

    def mapping_level(self, addr: int) -> int:
        """host_pfn_mapping_level(): level of the entry that maps `addr`, 1 if there is none."""
        pte, level = self.pt.leaf(addr)
        return level if pte & PTE_MAPPED else 1

    def copy_to_user(self, addr: int, value: int) -> bool:
        """Writes the page at `addr`; False if the access faults."""
        return gup.copy_to_user(self, addr, value)

    def copy_from_user(self, addr: int) -> int | None:
        """Reads the page at `addr`; None if the access faults."""
        return gup.copy_from_user(self, addr)

    def put_page(self, pfn: int) -> None:
        """Drops a reference that one of the calls above took."""
        self.frames.put(pfn)

    def mark_page_accessed(self, pfn: int) -> None:
        """The page was accessed."""
        self.sched.touch((PAGE_FLAGS, self.frames.folio(pfn)), False)
        self.frames.mark_accessed(pfn)

    def set_page_dirty(self, pfn: int) -> None:
        """The page was written."""
        self.sched.touch((PAGE_FLAGS, self.frames.folio(pfn)), False)
        self.frames.mark_dirty(pfn)

    # Host operations of a program.

    def munmap(self, start: int, end: int) -> None:
        """Removes the mapping."""
        mmap.munmap(self, start, end)

    def mmap(self, start: int, end: int) -> None:
        """Maps fresh memory over whatever is there (MAP_FIXED)."""
        mmap.mmap(self, start, end)

    def madvise_dontneed(self, start: int, end: int) -> None:
        """Drops the pages, keeps the mapping."""
        mmap.madvise_dontneed(self, start, end)

    def madvise_free(self, start: int, end: int) -> None:
        """The pages may be dropped, unless they are written again."""
        madvise.madvise_free(self, start, end)

    def invalidate(self, start: int, end: int, part: int) -> None:
        """A bracket around nothing, or a part of one: 0 all of it, 1 its start, 2 its end.

        The kernel does the first where it expects more to do than there is.
        """
        self.mmap_lock.down_read()
        if part != 2:
            self.invalidate_range_start(start, end)
        if part != 1:
            self.invalidate_range_end(start, end)
        self.mmap_lock.up_read()

    def age_nothing(self, addr: int, flush: bool) -> None:
        """A host that errs asks of the age of no page."""
        self.ptl.lock()
        for notifier in self.notifiers:
            (notifier.clear_flush_young if flush else notifier.clear_young)(addr, addr)
        self.ptl.unlock()

    def madvise_cold(self, start: int, end: int) -> None:
        """The pages are old, for the host."""
        cold.madvise_cold(self, start, end)

    def madvise_pageout(self, start: int, end: int) -> int:
        """Reclaims the pages that nobody else maps; the same answer as swap_out()."""
        return cold.madvise_pageout(self, start, end)

    def punch_hole(self, start: int, end: int) -> int:
        """Takes the pages out of the file behind the area; 0 or -EINVAL."""
        return truncate.punch_hole(self, start, end)

    def mremap(self, start: int, end: int, to: int, dontunmap: bool) -> int:
        """Moves the range to the address `to`; 0, -EFAULT or -EINVAL."""
        return _mremap.mremap(self, start, end, to, dontunmap)

    def uffd(self, start: int, end: int, what: int, value: int) -> int:
        """What a userfaultfd is asked for (uffd.py); 0 or -errno."""
        return _uffd.uffd(self, start, end, what, value)

    def mprotect(self, start: int, end: int, prot: int) -> None:
        """`prot`: 0 none, 1 read, 2 read and write."""
        mmap.mprotect(self, start, end, prot)

    def thp_advice(self, start: int, end: int, on: bool) -> None:
        """Allows or forbids THPs for later faults."""
        mmap.thp_advice(self, start, end, on)

    def fork(self, start: int, end: int) -> None:
        """A child shares the private pages of the range; the child of the last fork exits."""
        _fork.fork(self, start, end)

    def child_exit(self) -> None:
        """The child of the last fork exits."""
        _fork.child_exit(self)

    def cow_write(self, addr: int, value: int = 0) -> None:
        """A host write, but only to a page that is mapped read-only where writing is allowed."""
        vma = self.vmas.find(addr)
        pte = self.pt.page(addr)
        if vma is not None and vma.flags & VM_WRITE and pte & PTE_PRESENT and not pte & PTE_WRITE:
            gup.copy_to_user(self, addr, value)

    def migrate(self, start: int, end: int) -> None:
        """Moves the mapped pages to new frames."""
        migrate.migrate(self, start, end)

    def thp_collapse(self, addr: int) -> bool:
        """Makes a THP of the 2M around `addr`; True if it did."""
        return khugepaged.thp_collapse(self, addr)

    def madvise_collapse(self, start: int, end: int) -> int:
        """Makes THPs of the range's whole 2M; 0, -EINVAL or -EAGAIN."""
        return khugepaged.madvise_collapse(self, start, end)

    def thp_split(self, addr: int) -> None:
        """Splits the entry of the THP at `addr`; the page stays whole."""
        self.mmap_lock.down_read()
        if self.pt.huge.get(addr >> 21, 0) & PTE_MAPPED and self._is_thp(addr):
            split_huge_pmd(self, addr)
        self.mmap_lock.up_read()

    def _is_thp(self, addr: int) -> bool:
        vma = self.vmas.find(addr)
        return vma is not None and vma.level == 1

    def swap_out(self, start: int, end: int) -> int:
        """Reclaims the mapped pages; which of those that were freed lazily it dropped, or 0."""
        return swap.swap_out(self, start, end)

    def writeback(self, start: int, end: int) -> None:
        """Writes dirty pages of a file to its disk."""
        _writeback.writeback(self, start, end)

    def hwpoison(self, start: int, end: int) -> None:
        """A memory error in each mapped page."""
        hwpoison.hwpoison(self, start, end)

    def ksm_merge(self, addr: int, other: int) -> bool:
        """Merges two pages if their content is equal; True if it did."""
        return ksm.ksm_merge(self, addr, other)

    def host_read(self, addr: int) -> int | None:
        """A read by a host CPU; None for a signal."""
        return gup.copy_from_user(self, addr)

    def host_write(self, addr: int, value: int = 0) -> bool:
        """A write by a host CPU; False for a signal."""
        return gup.copy_to_user(self, addr, value)

    def age(self, start: int, end: int, flush: bool) -> int:
        """1 if a mapped page was accessed since it was aged last."""
        return int(self.age_told(start, end, flush) != 0)

    def age_told(self, start: int, end: int, flush: bool) -> int:
        """The same, and who said so: HOST_YOUNG, KVM_YOUNG, PAGE_YOUNG."""
        return _age.age(self, start, end, flush)

    def test_age(self, addr: int) -> int:
        """1 if the page is young; changes nothing."""
        return int(self.test_age_told(addr) != 0)

    def test_age_told(self, addr: int) -> int:
        """The same, and who said so."""
        return _age.test_age(self, addr)

    # For oracles: no side effects.

    def lookup(self, addr: int) -> int:
        """The present entry that covers `addr`, its pfn that of the 4K page, or 0."""
        table = self.pt.tables.get(addr >> 21)
        pte = table.get(addr >> 12, 0) if table is not None else self.pt.page(addr)
        return pte if pte & PTE_PRESENT else 0

    def prot(self, addr: int) -> int:
        """VM_READ and VM_WRITE of the VMA at `addr`, 0 if there is none."""
        vma = self.vmas.find(addr)
        return vma.flags & (VM_READ | VM_WRITE) if vma is not None else 0

    def content(self, addr: int) -> int | None:
        """What a read of `addr` would return, with nothing faulted in; None for a signal."""
        if not self.prot(addr) & VM_READ:
            return None
        pte = self.pt.page(addr) or self.page_cache.get(addr >> 12, 0)
        if pte & PTE_SWAP:
            slot = self.swap[pte >> 12]
            return self.frames.data(slot.cached) if slot.cached >= 0 else slot.data
        if not pte:
            return self.disk.get(addr >> 12, 0) or self._device_content(addr)
        return self.frames.data(pte >> 12) if pte & PTE_MAPPED else None

    def _device_content(self, addr: int) -> int:
        vma = self.vmas.find(addr)
        if vma is None or not vma.flags & VM_PFNMAP:
            return 0
        return self.frames.data((addr >> 12) + vma.pfn_delta)

    def destroy(self) -> None:
        """exit_mmap(): release() of every notifier, then all pages go without further notice."""
        while self.notifiers:
            self.notifiers.pop(0).release()
        _fork.child_exit(self)
        for vma in list(self.vmas):
            unmap_single_vma(self, vma, vma.start, vma.end)
            self.vmas.remove(vma)
        for cached in self.page_cache.values():
            if cached & PTE_SWAP:
                self.swap_free(cached >> 12)
            elif cached & PTE_MAPPED:
                self.frames.unmap_page(cached >> 12)
        self.page_cache.clear()
        self.pt.tables.clear()


__all__ = [
    "AREA_PAGES",
    "PMD_SIZE",
    "PTE_ACCESSED",
    "PTE_DIRTY",
    "PTE_HUGE",
    "PTE_PRESENT",
    "PTE_SPECIAL",
    "PTE_WRITE",
    "VM_FILE",
    "VM_IO",
    "VM_PFNMAP",
    "VM_READ",
    "VM_SHARED",
    "VM_WRITE",
    "Frames",
    "HostMM",
    "MmuNotifier",
    "Vma",
    "area_base",
    "area_of",
    "pte_pfn",
    "pte_write",
]
