# SPDX-License-Identifier: GPL-2.0-only
"""Mappings of the host process: VMAs, their tree, splitting and merging."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .pte import PMD_SIZE
from .range_map import RangeMap

VM_READ = 0x1
VM_WRITE = 0x2
VM_SHARED = 0x8
VM_UFFD_MISSING = 0x200
VM_PFNMAP = 0x400
VM_UFFD_WP = 0x1000
VM_IO = 0x4000
VM_HUGETLB = 0x400000
VM_HUGEPAGE = 0x20000000
VM_NOHUGEPAGE = 0x40000000
VM_UFFD_MINOR = 1 << 37
UFFD_FLAGS = VM_UFFD_MISSING | VM_UFFD_WP | VM_UFFD_MINOR
VM_FILE = 1 << 40
"""Ours: a file on a disk, whose filesystem wants to know of a first write; other shared memory is
shmem, which lives in the page cache and in swap."""

VM_TAILS = 1 << 41
"""Ours: the pages that a driver maps are tails of an allocation of high order; with VM_PFNMAP."""

VM_SHMEM_HUGE = 1 << 42
"""Ours: shmem that is mounted with huge=always."""

AREA_PAGES = 0x80000
"""Size of an area in 4K pages (2 GiB)."""

AREA_FLAGS = {
    "thp": VM_READ | VM_WRITE,
    "4k": VM_READ | VM_WRITE | VM_NOHUGEPAGE,
    "hugetlb2m": VM_READ | VM_WRITE | VM_HUGETLB,
    "hugetlb1g": VM_READ | VM_WRITE | VM_HUGETLB,
    "shared": VM_READ | VM_WRITE | VM_SHARED,
    "file": VM_READ | VM_WRITE | VM_SHARED | VM_FILE,
    "pfnmap": VM_READ | VM_WRITE | VM_SHARED | VM_PFNMAP | VM_IO,
    "shmem_thp": VM_READ | VM_WRITE | VM_SHARED | VM_SHMEM_HUGE,
    "pfnmap_tails": VM_READ | VM_WRITE | VM_SHARED | VM_PFNMAP | VM_TAILS,
}
"""vm_flags of a fresh mapping, by the kind of its area."""

HUGETLB_LEVEL = {"hugetlb2m": 2, "hugetlb1g": 3}


def area_base(area: int) -> int:
    """First hva of an area."""
    return (area + 1) << 40


def area_of(addr: int) -> int:
    """The area that an hva lies in."""
    return (addr >> 40) - 1


class Vma:
    """struct vm_area_struct: bytes [start, end), vm_flags, and what a fault puts there."""

    __slots__ = ("anon_vma", "end", "flags", "level", "pfn_delta", "start")

    def __init__(
        self, start: int, end: int, flags: int, level: int = 1, pfn_delta: int = 0
    ) -> None:
        self.start = start
        self.end = end
        self.flags = flags
        self.level = level  # level of its pages if hugetlb, else 1
        self.anon_vma = False  # it has had an anonymous page: fork must copy its page tables
        self.pfn_delta = pfn_delta
        """VM_PFNMAP: pfn of a page minus (hva >> 12); of others, how far mremap moved them."""

    @property
    def anonymous(self) -> bool:
        """vma_is_anonymous(): private memory of 4K pages or THPs."""
        return not self.flags & (VM_SHARED | VM_HUGETLB)

    @property
    def is_shmem(self) -> bool:
        """vma_is_shmem(): shared memory that is no file on a disk, nor a device's."""
        return self.flags & (VM_SHARED | VM_PFNMAP | VM_FILE | VM_HUGETLB) == VM_SHARED

    @property
    def wants_writenotify(self) -> bool:
        """vma_wants_writenotify(): a page that is clean is mapped read-only."""
        return self.flags & VM_FILE != 0

    def contains(self, start: int, end: int) -> bool:
        """range_in_vma()."""
        return self.start <= start and end <= self.end

    def fits_huge(self, addr: int) -> bool:
        """True if the 2M range around `addr` lies in it (transhuge_vma_suitable())."""
        base = addr & -PMD_SIZE
        return self.start <= base and base + PMD_SIZE <= self.end

    def thp_allowed(self, addr: int) -> bool:
        """True if a huge page may lie at the 2M range around `addr` (hugepage_vma_check())."""
        if self.flags & (VM_SHARED | VM_HUGETLB | VM_NOHUGEPAGE):
            return False
        return self.fits_huge(addr)


class VmaTree:
    """The VMAs of a process by start address."""

    __slots__ = ("_cached", "_tree")

    def __init__(self) -> None:
        self._tree: RangeMap[Vma] = RangeMap()
        self._cached: Vma | None = None

    def find(self, addr: int) -> Vma | None:
        """vma_lookup(): the VMA that holds `addr`, or None."""
        vma = self._cached
        if vma is not None and vma.start <= addr < vma.end:
            return vma
        found = self._tree.floor(addr)
        if found is None or addr >= found.end:
            return None
        self._cached = found
        return found

    def overlapping(self, start: int, end: int) -> list[Vma]:
        """VMAs that have a byte in [start, end), ascending."""
        found = self._tree.between(start, end)
        first = self.find(start)
        if first is not None and first.start < start:
            found.insert(0, first)
        return found

    def insert(self, vma: Vma) -> None:
        """Adds a VMA; its range must be free."""
        assert not self.overlapping(vma.start, vma.end)
        self._tree[vma.start] = vma

    def remove(self, vma: Vma) -> None:
        """Takes a VMA out."""
        del self._tree[vma.start]
        self._cached = None

    def split(self, vma: Vma, addr: int) -> Vma:
        """Cuts a VMA at `addr`; returns the upper part."""
        upper = Vma(addr, vma.end, vma.flags, vma.level, vma.pfn_delta)
        upper.anon_vma = vma.anon_vma
        vma.end = addr
        self._tree[addr] = upper
        return upper

    def merge(self, start: int, end: int) -> None:
        """Joins neighbours with equal properties that meet in [start, end]."""
        found = self.overlapping(start - 1, end + 1)
        for upper in found[1:]:
            lower = self.find(upper.start - 1)
            if (
                lower is not None
                and lower.flags == upper.flags
                and lower.level == upper.level
                and lower.pfn_delta == upper.pfn_delta
            ):
                self.remove(upper)
                lower.end = upper.end
                lower.anon_vma |= upper.anon_vma

    def merge_all(self, changed: Iterable[Vma]) -> None:
        """Joins those that changed with their neighbours: who did not change looks for none."""
        for vma in changed:
            self.merge(vma.start, vma.end)

    def __iter__(self) -> Iterator[Vma]:
        """All VMAs, ascending."""
        return iter(self._tree.values())
