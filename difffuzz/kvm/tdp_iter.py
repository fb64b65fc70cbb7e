# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/tdp_iter.c: the pre-order walk over a paging structure."""

from __future__ import annotations

from collections.abc import Iterator

from difffuzz.facts.addresses import Gfn, Spte, SptePtr
from difffuzz.facts.paging import PT_PAGE_SIZE_MASK
from difffuzz.sched import KernelSplat

from .kvm_host import PG_LEVEL_4K, PT64_ROOT_MAX_LEVEL, Kvm, KvmMmuPage
from .mmu_internal import kvm_mmu_page_as_id
from .spte import (
    SPTE_BASE_ADDR_MASK,
    SPTE_MMU_PRESENT_MASK,
    is_last_spte,
    is_shadow_present_pte,
    spte_has_volatile_bits,
)


def rcu_dereference(kvm: Kvm, sptep: SptePtr) -> int:
    """The pointer, which only a reader of RCU may follow."""
    if not kvm.sched.current.rcu_depth:
        raise KernelSplat("rcu", "rcu_dereference", "TDP page table used outside an RCU section")
    return sptep


def kvm_tdp_mmu_read_spte(kvm: Kvm, sptep: SptePtr) -> Spte:
    """Reads an entry."""
    if not kvm.sched.current.rcu_depth:
        rcu_dereference(kvm, sptep)
    return kvm.mem.read_once(sptep)


def kvm_tdp_mmu_write_spte_atomic(kvm: Kvm, sptep: SptePtr, new_spte: Spte) -> Spte:
    """Writes an entry and returns the one before."""
    return kvm.mem.xchg(rcu_dereference(kvm, sptep), new_spte)


def __kvm_tdp_mmu_write_spte(kvm: Kvm, sptep: SptePtr, new_spte: Spte) -> None:
    """Writes an entry that nobody else may change meanwhile."""
    kvm.mem.write_once(rcu_dereference(kvm, sptep), new_spte)


def kvm_tdp_mmu_write_spte(
    kvm: Kvm, sptep: SptePtr, old_spte: Spte, new_spte: Spte, level: int
) -> Spte:
    """Writes an entry, atomically if it may change meanwhile; returns the one before."""
    if (
        is_shadow_present_pte(old_spte)
        and is_last_spte(old_spte, level)
        and spte_has_volatile_bits(kvm.masks, old_spte)
    ):
        return kvm_tdp_mmu_write_spte_atomic(kvm, sptep, new_spte)
    __kvm_tdp_mmu_write_spte(kvm, sptep, new_spte)
    return old_spte


def spte_to_child_pt(spte: Spte, level: int) -> int:
    """Physical address of the table below the entry, 0 if there is none."""
    # is_shadow_present_pte() and not is_last_spte()
    if spte & SPTE_MMU_PRESENT_MASK and level > 1 and not spte & PT_PAGE_SIZE_MASK:
        return spte & SPTE_BASE_ADDR_MASK
    return 0


class TdpIter:
    """struct tdp_iter: where a walk is.  `pt_path[level-1]` is the table of each level."""

    __slots__ = (
        "as_id",
        "end",
        "gfn",
        "kvm",
        "level",
        "min_level",
        "next_last_level_gfn",
        "old_spte",
        "pt_path",
        "root_level",
        "sptep",
        "valid",
        "yielded",
        "yielded_gfn",
    )

    def __init__(
        self, kvm: Kvm, root: KvmMmuPage, min_level: int, next_last_level_gfn: int, end: int
    ) -> None:
        root_level = root.role.level
        if root_level < 1 or root_level > PT64_ROOT_MAX_LEVEL:
            kvm.warn("tdp_iter_start", "bad root level")
        self.kvm = kvm
        self.next_last_level_gfn = next_last_level_gfn
        self.root_level = root_level
        self.min_level = min_level
        self.pt_path = [0] * root_level
        self.pt_path[root_level - 1] = root.spt
        self.as_id = kvm_mmu_page_as_id(root)
        self.level = root_level
        self.gfn = 0
        self.end = end
        self.sptep = 0
        self.old_spte = 0
        self.yielded_gfn = 0
        self.yielded = False
        self.valid = True
        tdp_iter_restart(self)


def tdp_iter_refresh_sptep(it: TdpIter) -> None:
    """Points the iterator at the entry for its gfn and level."""
    above = it.level - 1
    it.sptep = sptep = it.pt_path[above] + 8 * ((it.gfn >> 9 * above) & 511)
    kvm = it.kvm
    if not kvm.sched.current.rcu_depth:
        rcu_dereference(kvm, sptep)
    it.old_spte = kvm.mem.read_once(sptep)


def round_gfn_for_level(gfn: Gfn, level: int) -> Gfn:
    """The first gfn of the page of `level` that holds `gfn`."""
    return gfn & -(1 << (9 * (level - 1)))


ROUND = tuple(round_gfn_for_level(-1, max(level, 1)) for level in range(PT64_ROOT_MAX_LEVEL + 1))
"""The bits that round_gfn_for_level() keeps, by level."""


def tdp_iter_restart(it: TdpIter) -> None:
    """Starts again at the root, for the gfn that was to be visited next."""
    it.yielded = False
    it.yielded_gfn = it.next_last_level_gfn
    it.level = it.root_level
    it.gfn = round_gfn_for_level(it.next_last_level_gfn, it.level)
    tdp_iter_refresh_sptep(it)
    it.valid = True


def try_step_down(it: TdpIter) -> bool:
    """Steps into the table below the entry, if there is one."""
    level = it.level
    if level == it.min_level:
        return False
    # Read again: the caller may have put a table here.
    it.old_spte = spte = kvm_tdp_mmu_read_spte(it.kvm, it.sptep)
    child_pt = spte_to_child_pt(spte, level)
    if not child_pt:
        return False
    level -= 1
    it.level = level
    it.pt_path[level - 1] = child_pt
    it.gfn = it.next_last_level_gfn & ROUND[level]
    tdp_iter_refresh_sptep(it)
    return True


def try_step_side(it: TdpIter) -> bool:
    """Steps to the next entry of the table that is not 0, or out of the range."""
    shift = 9 * (it.level - 1)
    table = it.pt_path[it.level - 1]
    index = (it.gfn >> shift) & 511
    # Otherwise: a walk steps over entries that are 0, at which no walk of the kernel does anything,
    # so that it costs what is mapped. Out of the range it takes one step, and ends where the
    # kernel's does.
    beyond = it.gfn + (1 << shift) >= it.end
    following = index + 1 if beyond else it.kvm.mem.next_index(table, index)
    if following > 511:
        return False
    it.gfn = it.next_last_level_gfn = it.gfn + ((following - index) << shift)
    it.sptep = sptep = table + 8 * following
    it.old_spte = kvm_tdp_mmu_read_spte(it.kvm, sptep)
    return True


def try_step_up(it: TdpIter) -> bool:
    """Steps to the entry that points to this table."""
    if it.level == it.root_level:
        return False
    it.level += 1
    it.gfn &= ROUND[it.level]
    tdp_iter_refresh_sptep(it)
    return True


def tdp_iter_next(it: TdpIter) -> None:
    """Steps to the next entry in pre-order."""
    if it.yielded:
        tdp_iter_restart(it)
        return
    if try_step_down(it):
        return
    while True:
        if try_step_side(it):
            return
        if not try_step_up(it):
            break
    it.valid = False


def for_each_tdp_pte_min_level(
    kvm: Kvm, root: KvmMmuPage, min_level: int, start: int, end: int
) -> Iterator[TdpIter]:
    """The entries that map [start, end), down to `min_level`; the same object each time."""
    it = TdpIter(kvm, root, min_level, start, end)
    while it.valid and it.gfn < end:
        yield it
        tdp_iter_next(it)


def for_each_tdp_pte(kvm: Kvm, root: KvmMmuPage, start: int, end: int) -> Iterator[TdpIter]:
    """The entries that map the gfns [start, end), of every level."""
    return for_each_tdp_pte_min_level(kvm, root, PG_LEVEL_4K, start, end)


def for_each_leaf_pte(kvm: Kvm, root: KvmMmuPage, start: int, end: int) -> Iterator[TdpIter]:
    """The present leaves that map the gfns [start, end)."""
    for it in for_each_tdp_pte_min_level(kvm, root, PG_LEVEL_4K, start, end):
        if is_shadow_present_pte(it.old_spte) and is_last_spte(it.old_spte, it.level):
            yield it
