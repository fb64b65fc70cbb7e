# SPDX-License-Identifier: GPL-2.0-only
"""The TDP iterator visits exactly the entries that are there, in pre-order, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difffuzz.kvm.kvm_host import Kvm, KvmMmuPage
from difffuzz.kvm.spte import REMOVED_SPTE, SPTE_BASE_ADDR_MASK, is_last_spte, is_shadow_present_pte
from difffuzz.kvm.tdp_iter import (
    __kvm_tdp_mmu_write_spte,
    for_each_leaf_pte,
    for_each_tdp_pte,
    for_each_tdp_pte_min_level,
)
from difffuzz.sched import KernelSplat

from .vm import model, page

GFNS = 1 << 27  # what an entry of the root's level maps, twice over for level 4
LEAF = 0x0600_0000_0000_0B77
LARGE = 0x80
NONLEAF = 0x907
MMIO = 0x6

Entry = tuple[int, int, int]
"""First gfn, level, value."""


def shift(level: int) -> int:
    return 9 * (level - 1)


class Tables:
    """Page tables that are built entry by entry."""

    def __init__(self, root_level: int) -> None:
        self.kvm: Kvm = model().kvm
        self.root = page(root_level)
        self.root.spt = self.kvm.mem.alloc(self.root)

    def put(self, gfn: int, level: int, value: int) -> None:
        """Writes an entry, making the tables on the way; what is mapped already stays."""
        mem = self.kvm.mem
        table, at = self.root.spt, self.root.role.level
        while at > level:
            ptr = table + 8 * (gfn >> shift(at) & 511)
            spte = mem.load(ptr)
            if spte and (is_last_spte(spte, at) or not is_shadow_present_pte(spte)):
                return
            if not spte:
                child = page(at - 1)
                child.gfn = gfn >> shift(at) << shift(at)
                child.spt = mem.alloc(child)
                spte = child.spt | NONLEAF
                mem.store(ptr, spte)
            table = spte & SPTE_BASE_ADDR_MASK
            at -= 1
        ptr = table + 8 * (gfn >> shift(level) & 511)
        if not mem.load(ptr):
            mem.store(ptr, value)

    def entries(self, start: int, end: int, min_level: int) -> list[Entry]:
        """The entries that map [start, end), found by a plain recursive walk."""
        return list(self._walk(self.root, start, end, min_level))

    def _walk(self, sp: KvmMmuPage, start: int, end: int, min_level: int) -> Iterator[Entry]:
        level = sp.role.level
        for index in range(512):
            spte = self.kvm.mem.load(sp.spt + 8 * index)
            gfn = sp.gfn + (index << shift(level))
            if not spte or gfn >= end or gfn + (1 << shift(level)) <= start:
                continue
            yield gfn, level, spte
            if level > min_level and is_shadow_present_pte(spte) and not is_last_spte(spte, level):
                child: KvmMmuPage = self.kvm.mem.page(spte & SPTE_BASE_ADDR_MASK).sp
                yield from self._walk(child, start, end, min_level)


EDGES = st.sampled_from([0, 1, 0x1FF, 0x200, 0x3FFFF, 0x40000, 0x7FFFFFF, 0x8000000])
GFN = st.builds(lambda edge, near: min(edge + near, GFNS - 1), EDGES, st.integers(0, 0x600))
LEVELS = st.sampled_from([1, 1, 1, 2, 3])
PLACES = st.lists(
    st.tuples(GFN, LEVELS, st.sampled_from([LEAF, LEAF, MMIO, REMOVED_SPTE])), max_size=24
)
RANGES = st.tuples(GFN, st.one_of(st.integers(1, 0x800), st.just(GFNS)))


def built(places: list[tuple[int, int, int]], root_level: int = 4) -> Tables:
    tables = Tables(root_level)
    for gfn, level, value in places:
        first = gfn >> shift(level) << shift(level)
        if value == LEAF:
            value |= first << 12 | (LARGE if level > 1 else 0)
        tables.put(first, level, value)
    return tables


@settings(max_examples=150)
@given(PLACES, RANGES, st.integers(1, 4), st.sampled_from([4, 5]))
def test_it_visits_what_a_plain_walk_finds(
    places: list[Entry], gfns: tuple[int, int], min_level: int, root_level: int
) -> None:
    tables = built(places, root_level)
    kvm, start, end = tables.kvm, gfns[0], gfns[0] + gfns[1]
    kvm.rcu.read_lock()
    visited = [
        (it.gfn, it.level, it.old_spte)
        for it in for_each_tdp_pte_min_level(kvm, tables.root, min_level, start, end)
    ]
    assert [entry for entry in visited if entry[2]] == tables.entries(start, end, min_level)
    # Absent entries are stopped at on the way to `start`, and as the first of a table.
    for gfn, level, spte in visited:
        first_of_table = gfn % (1 << shift(level + 1)) == 0
        assert spte or first_of_table or gfn <= start < gfn + (1 << shift(level))
    leaves = [
        (it.gfn, it.level, it.old_spte) for it in for_each_leaf_pte(kvm, tables.root, start, end)
    ]
    assert leaves == [
        entry
        for entry in tables.entries(start, end, 1)
        if is_shadow_present_pte(entry[2]) and is_last_spte(entry[2], entry[1])
    ]


@settings(max_examples=100)
@given(PLACES, RANGES, st.sets(st.integers(0, 40)))
def test_a_yield_loses_nothing(
    places: list[Entry], gfns: tuple[int, int], yields: set[int]
) -> None:
    """After a yield the walk starts again at the root, for the entry it was at."""
    tables = built(places)
    kvm, start, end = tables.kvm, gfns[0], gfns[0] + gfns[1]
    kvm.rcu.read_lock()
    visited = []
    for step, it in enumerate(for_each_tdp_pte(kvm, tables.root, start, end)):
        # As tdp_mmu_iter_cond_resched() does: not twice without progress.
        if step in yields and it.next_last_level_gfn != it.yielded_gfn:
            it.yielded = True
        elif it.old_spte:
            visited.append((it.gfn, it.level, it.old_spte))
    wanted = tables.entries(start, end, 1)
    assert set(visited) == set(wanted)
    assert [gfn for gfn, level, _ in visited if level == 1] == [
        gfn for gfn, level, _ in wanted if level == 1
    ]


@settings(max_examples=100)
@given(PLACES, RANGES)
def test_entries_may_be_cleared_on_the_way(places: list[Entry], gfns: tuple[int, int]) -> None:
    tables = built(places)
    kvm, start, end = tables.kvm, gfns[0], gfns[0] + gfns[1]
    kvm.rcu.read_lock()
    for it in for_each_leaf_pte(kvm, tables.root, start, end):
        __kvm_tdp_mmu_write_spte(kvm, it.sptep, 0)
    left = tables.entries(start, end, 1)
    assert not any(is_shadow_present_pte(spte) and is_last_spte(spte, at) for _, at, spte in left)


def test_it_steps_into_a_table_that_was_linked_meanwhile() -> None:
    tables = Tables(4)
    kvm = tables.kvm
    kvm.rcu.read_lock()
    seen = []
    for it in for_each_tdp_pte(kvm, tables.root, 0x201, 0x202):
        seen.append((it.gfn, it.level))
        if it.level > 1:
            child = page(it.level - 1)
            child.gfn = it.gfn
            child.spt = kvm.mem.alloc(child)
            __kvm_tdp_mmu_write_spte(kvm, it.sptep, child.spt | NONLEAF)
    assert seen == [(0, 4), (0, 3), (0x200, 2), (0x201, 1)]


def test_only_a_reader_of_rcu_may_walk() -> None:
    tables = Tables(4)
    with pytest.raises(KernelSplat, match="rcu: rcu_dereference"):
        list(for_each_tdp_pte(tables.kvm, tables.root, 0, 1))


def test_a_root_has_a_level_that_exists() -> None:
    tables = Tables(4)
    tables.root.role.level = 6
    tables.kvm.rcu.read_lock()
    list(for_each_tdp_pte(tables.kvm, tables.root, 0, 1))
    assert [where for where, _ in tables.kvm.splats] == ["tdp_iter_start"]
