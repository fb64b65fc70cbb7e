# SPDX-License-Identifier: GPL-2.0-only
"""The leaves of a VM's page tables, as oracles look at them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from difffuzz.facts.paging import PAGE_SHIFT, PT_PAGE_SIZE_MASK, PT_WRITABLE_MASK
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK, SPTE_MMU_PRESENT_MASK
from difffuzz.sched import KernelSplat
from difffuzz.sides.base import Leaf
from difffuzz.sides.kvm_state import Kvm, ShadowPage, Table


class PageTables:
    """All page tables of a VM.  A leaf is told with its address space and its first gfn."""

    __slots__ = ("_exec_mask", "_exec_value", "_kvm")

    def __init__(self, kvm: Kvm) -> None:
        self._kvm = kvm
        masks = kvm.masks
        self._exec_mask = masks.shadow_x_mask | masks.shadow_nx_mask
        self._exec_value = masks.shadow_x_mask

    def leaf_of(self, page: Table, index: int, spte: int) -> tuple[int, int, Leaf] | None:
        """Address space, first gfn and leaf of an entry; None if it is no present leaf."""
        sp = page.sp
        if sp is None or not spte & SPTE_MMU_PRESENT_MASK:
            return None
        level = sp.role.level
        if level > 1 and not spte & PT_PAGE_SIZE_MASK:
            return None
        gfn = sp.gfn + (index << (9 * (level - 1)))
        return int(sp.role.smm), gfn, self._leaf(spte, level)

    def _leaf(self, spte: int, level: int) -> Leaf:
        executable = (spte & self._exec_mask) == self._exec_value
        pfn = (spte & SPTE_BASE_ADDR_MASK) >> PAGE_SHIFT
        return Leaf(pfn, level, spte & PT_WRITABLE_MASK != 0, executable)

    def all_leaves(self) -> Iterator[tuple[int, int, Leaf]]:
        """(address space, first gfn, leaf) of every present leaf of every page table."""
        for page in list(self._kvm.mem.pages.values()):
            sp = page.sp
            if sp is None:
                continue
            level, as_id = sp.role.level, int(sp.role.smm)
            shift = 9 * (level - 1)
            for index, spte in list(page.ent.items()):
                if spte & SPTE_MMU_PRESENT_MASK and (level == 1 or spte & PT_PAGE_SIZE_MASK):
                    yield as_id, sp.gfn + (index << shift), self._leaf(spte, level)

    def count_leaves(self) -> list[int]:
        """How many present leaves there are of each level, in every page table."""
        counted = [0, 0, 0]
        for page in self._kvm.mem.pages.values():
            if page.sp is None:
                continue
            level = page.sp.role.level
            what = SPTE_MMU_PRESENT_MASK | (PT_PAGE_SIZE_MASK if level > 1 else 0)
            count = sum([spte & what == what for spte in page.ent.values()])
            if count:
                counted[level - 1] += count
        return counted

    def roots(self) -> Collection[ShadowPage]:
        """The shadow pages of every root."""
        if self._kvm.tdp_mmu_enabled:
            return self._kvm.tdp_mmu_roots
        return [
            page.sp
            for page in self._kvm.mem.pages.values()
            if page.sp is not None and page.sp.root_count
        ]

    def leaves_in(self, as_id: int, start: int, end: int) -> list[tuple[int, Leaf]]:
        """(first gfn, leaf) of every leaf below a root that maps a gfn of [start, end)."""
        found: list[tuple[int, Leaf]] = []
        for root in self.roots():
            if root.role.smm == as_id:
                self._walk(root.spt, start, end, found)
        return found

    def _walk(self, pa: int, start: int, end: int, found: list[tuple[int, Leaf]]) -> None:
        page = self._kvm.mem.pages.get(pa >> 12)
        if page is None:
            raise KernelSplat("uaf", "page_table", "a table that is linked was freed")
        sp = page.sp
        assert sp is not None  # a root of a shadow page leads to tables of shadow pages only
        level = sp.role.level
        shift = 9 * (level - 1)
        first = (start - sp.gfn) >> shift
        last = (end - 1 - sp.gfn) >> shift
        ent = page.ent
        if first == last:
            indices = [first] if first in ent else []
        elif last - first < len(ent):
            indices = [i for i in range(max(first, 0), min(last, 511) + 1) if i in ent]
        else:
            indices = [i for i in ent if first <= i <= last]
        for index in indices:
            spte = ent[index]
            if not spte & SPTE_MMU_PRESENT_MASK:
                continue
            if level > 1 and not spte & PT_PAGE_SIZE_MASK:
                self._walk(spte & SPTE_BASE_ADDR_MASK, start, end, found)
            else:
                found.append((sp.gfn + (index << shift), self._leaf(spte, level)))
