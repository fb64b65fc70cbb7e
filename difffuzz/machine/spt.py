# SPDX-License-Identifier: GPL-2.0-only
"""The memory of KVM's page tables: sparse pages of 512 entries, reached by physical address.

A pointer to an entry is its physical address, as `u64 *sptep` is in the kernel: the page is
`ptr >> 12`, the index `(ptr >> 3) & 511`.  An absent entry is 0.  Any access to a page that was
freed is a use after free.  Every change is logged for the oracles.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from difffuzz.sched import KernelSplat, Scheduler

PT_PFN_BASE = 1 << 32
"""First pfn of page-table pages: far above every frame the host maps."""

SP = TypeVar("SP")
"""What page_private of a table is: the shadow page that it belongs to."""

BIT = [1 << index for index in range(512)]
ALL_BITS = (1 << 512) - 1


class PtPage(Generic[SP]):
    """One page of page-table entries; `bits` has a bit for every entry that is not absent.

    An absent entry reads as `absent`: 0, or the frozen value once the table was cut off.  `sp` is
    page_private: None for the root of a PAE page table, which belongs to no shadow page.
    """

    __slots__ = ("absent", "bits", "ent", "sp")

    def __init__(self, sp: SP | None) -> None:
        self.ent: dict[int, int] = {}
        self.absent = 0
        self.bits = 0
        # KVM's own code follows the pointer without a look, as in the kernel.
        self.sp: SP = sp  # type: ignore[assignment]


class PhysMem(Generic[SP]):
    """All page-table pages of one VM.  What is atomic in the kernel is a preemption point."""

    __slots__ = ("_next_pfn", "log", "pages", "sched")

    def __init__(self, sched: Scheduler) -> None:
        self.sched = sched
        self.pages: dict[int, PtPage[SP]] = {}
        self.log: list[tuple[int, int, int]] = []
        self._next_pfn = PT_PFN_BASE

    def alloc(self, sp: SP | None) -> int:
        """A zeroed page whose page_private is `sp`; returns its physical address."""
        pfn = self._next_pfn
        self._next_pfn = pfn + 1
        self.pages[pfn] = PtPage(sp)
        return pfn << 12

    def free(self, pa: int) -> None:
        """Frees a page: from now on every access to it is a use after free."""
        if self.pages.pop(pa >> 12, None) is None:
            raise KernelSplat("uaf", "free_page", "double free of a page table")

    def page(self, pa: int) -> PtPage[SP]:
        """The page at `pa`."""
        page = self.pages.get(pa >> 12)
        if page is None:
            raise KernelSplat("uaf", "page_table", "access to a freed page table")
        return page

    def peek(self, ptr: int) -> tuple[int, SP] | None:
        """For those who only look: the entry and page_private of its page; None if there is none.

        Not what anybody in the machine does.
        """
        page = self.pages.get(ptr >> 12)
        if page is None or page.sp is None:
            return None
        return page.ent.get((ptr >> 3) & 511, page.absent), page.sp

    def load(self, ptr: int) -> int:
        """A plain load."""
        try:
            page = self.pages[ptr >> 12]
        except KeyError:
            raise KernelSplat("uaf", "page_table", "read of a freed page table") from None
        ent, index = page.ent, (ptr >> 3) & 511
        return ent[index] if index in ent else page.absent  # noqa: SIM401

    def read_once(self, ptr: int) -> int:
        """READ_ONCE(): a preemption point, then a load."""
        self.sched.point(ptr, False)
        try:
            page = self.pages[ptr >> 12]
        except KeyError:
            raise KernelSplat("uaf", "page_table", "read of a freed page table") from None
        ent, index = page.ent, (ptr >> 3) & 511
        return ent[index] if index in ent else page.absent  # noqa: SIM401

    def store(self, ptr: int, value: int) -> None:
        """A plain store."""
        page = self.pages.get(ptr >> 12)
        if page is None:
            raise KernelSplat("uaf", "page_table", "write to a freed page table")
        index = (ptr >> 3) & 511
        ent = page.ent
        if index in ent:
            old = ent[index]
            if value:
                ent[index] = value
            else:
                del ent[index]
                page.bits ^= BIT[index]
        else:
            old = page.absent
            if value:
                ent[index] = value
                page.bits |= BIT[index]
        self.log.append((ptr, old, value))

    def write_once(self, ptr: int, value: int) -> None:
        """WRITE_ONCE()."""
        self.sched.point(ptr)
        self.store(ptr, value)

    def xchg(self, ptr: int, value: int) -> int:
        """xchg(): returns the value before."""
        self.sched.point(ptr)
        old = self.load(ptr)
        self.store(ptr, value)
        return old

    def cmpxchg(self, ptr: int, old: int, value: int) -> int:
        """try_cmpxchg64(): stores if the entry is `old`; returns what the entry was."""
        self.sched.point(ptr)
        current = self.load(ptr)
        if current == old:
            self.store(ptr, value)
        return current

    def freeze_absent(self, pa: int, value: int, known: set[int]) -> bool:
        """Makes every absent entry of a table that was cut off read as `value`; False if more than
        the `known` entries are not absent."""
        self.sched.point(("table", pa >> 12))
        page = self.page(pa)
        if not page.ent.keys() <= known:
            return False
        page.absent = value
        return True

    def fill(self, pa: int, entries: dict[int, int]) -> None:
        """Writes a page that is not linked yet, as splitting a huge page does."""
        page = self.page(pa)
        page.ent = entries
        page.bits = sum(BIT[index] for index in entries) if len(entries) < 512 else ALL_BITS

    def next_index(self, pa: int, index: int) -> int:
        """The first entry after `index` that is not 0, or 512."""
        page = self.pages.get(pa >> 12)
        if page is None:
            raise KernelSplat("uaf", "page_table", "walk of a freed page table")
        above = page.bits >> (index + 1)
        if not above:
            return 512
        return index + (above & -above).bit_length()
