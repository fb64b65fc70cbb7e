# SPDX-License-Identifier: GPL-2.0-only
"""Migration, swap, memory errors and aging."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from difffuzz.facts.errno import EHWPOISON

from .recorder import GIG, HUGE, Host, bracket

Make = Callable[[str], Host]
KINDS = [("4k", 1), ("thp", HUGE), ("hugetlb2m", HUGE), ("hugetlb1g", GIG), ("shared", 1)]


@pytest.mark.parametrize(("kind", "size"), KINDS)
def test_migration_moves_data_to_a_new_frame(make_host: Make, kind: str, size: int) -> None:
    host = make_host(kind)
    host.write(0, 42)
    old, level = host.pfn(0), host.level(0)
    host.mm.migrate(*host.span(0, 1))
    assert host.events() == bracket(0, size)
    assert host.pfn(0) != old
    assert host.mm.frames.is_free(old)
    assert (host.level(0), host.writable(0), host.read(0)) == (level, True, 42)


@pytest.mark.parametrize(("kind", "size"), KINDS)
def test_a_pinned_page_does_not_move(make_host: Make, kind: str, size: int) -> None:
    host = make_host(kind)
    pfn = host.pin(0)
    host.mm.migrate(*host.span(0, 1))
    assert host.events() == bracket(0, size)
    assert host.pfn(0) == pfn
    assert host.writable(0)
    host.mm.put_page(pfn)


def test_migration_takes_the_child_along(make_host: Make) -> None:
    host = make_host("4k")
    old = host.fault(0, True)
    host.mm.fork(*host.span(0, 1))
    host.mm.migrate(*host.span(0, 1))
    assert host.mm.frames.is_free(old)
    assert host.mm.frames.page_count(host.pfn(0)) == 2
    assert not host.writable(0)


def test_swap_keeps_the_data_in_another_frame(make_host: Make) -> None:
    host = make_host("4k")
    host.write(2, 9)
    old = host.pfn(2)
    host.mm.swap_out(*host.span(0, 8))
    assert host.events() == bracket(2, 1)
    assert host.pfn(2) == 0
    assert host.mm.frames.is_free(old)
    assert host.mm.content(host.at(2)) == 9
    assert host.mm.get_user_pages_unlocked(host.at(2), True, True) == (0, 0), "nowait"
    assert host.fault(2, True) != old
    assert host.read(2) == 9
    assert host.events() == []


def test_a_pinned_page_stays_in_the_swap_cache(make_host: Make) -> None:
    host = make_host("4k")
    pfn = host.pin(2)
    host.mm.swap_out(*host.span(2, 1))
    assert host.pfn(2) == 0
    npages, again = host.mm.get_user_pages_unlocked(host.at(2), True, True)
    assert (npages, again) == (1, pfn)
    host.mm.put_page(pfn)
    host.mm.put_page(pfn)


def test_a_whole_thp_is_swapped_after_a_split(make_host: Make) -> None:
    host = make_host("thp")
    host.write(5, 7)
    pfn = host.pfn(0)
    host.mm.swap_out(*host.span(0, HUGE))
    assert host.events() == [*bracket(0, HUGE), *bracket(0, HUGE)]
    assert host.mm.frames.is_free(pfn + 100)
    assert (host.read(5), host.read(6)) == (7, 0)


def test_a_part_of_a_thp_is_swapped_after_the_page_was_split(make_host: Make) -> None:
    host = make_host("thp")
    host.write(5, 7)
    pfn = host.pfn(0)
    host.mm.swap_out(*host.span(5, 1))
    assert host.events() == [*bracket(0, HUGE), *bracket(0, HUGE), *bracket(5, 1)]
    assert (host.pfn(5), host.pfn(6), host.writable(6)) == (0, pfn + 6, True)
    assert host.mm.frames.is_free(pfn + 5)


def test_shared_memory_swaps_through_the_page_cache(make_host: Make) -> None:
    host = make_host("shared")
    host.write(2, 9)
    old = host.pfn(2)
    host.mm.swap_out(*host.span(2, 1))
    assert host.events() == bracket(2, 1)
    assert host.mm.frames.is_free(old)
    assert host.read(2) == 9


@pytest.mark.parametrize("kind", ["hugetlb2m", "pfnmap"])
def test_what_cannot_be_swapped_stays(make_host: Make, kind: str) -> None:
    host = make_host(kind)
    host.write(2, 9)
    host.mm.swap_out(*host.span(0, HUGE))
    assert host.events() == []
    assert host.pfn(2)


def test_a_poisoned_page_is_gone_until_it_is_dropped(make_host: Make) -> None:
    host = make_host("4k")
    pfn = host.fault(2, True)
    host.mm.hwpoison(*host.span(2, 1))
    assert host.events() == bracket(2, 1)
    assert host.mm.frames.is_free(pfn)
    assert pfn in host.mm.frames.poisoned
    assert host.gup(2, False) == -EHWPOISON
    host.mm.mmap_lock.down_read()
    assert host.mm.check_user_page_hwpoison(host.at(2))
    assert not host.mm.check_user_page_hwpoison(host.at(3))
    host.mm.mmap_lock.up_read()
    assert host.read(2) is None
    host.mm.madvise_dontneed(*host.span(2, 1))
    assert host.read(2) == 0


def test_a_poisoned_file_page_stays_poisoned(make_host: Make) -> None:
    host = make_host("shared")
    host.fault(2, True)
    host.mm.hwpoison(*host.span(2, 1))
    host.mm.madvise_dontneed(*host.span(2, 1))
    assert host.gup(2, False) == -EHWPOISON


def test_a_memory_error_splits_a_thp_but_takes_a_whole_hugetlb_page(make_host: Make) -> None:
    host = make_host("thp")
    pfn = host.fault(0, True)
    host.mm.hwpoison(*host.span(3, 1))
    assert host.events() == [*bracket(0, HUGE), *bracket(0, HUGE), *bracket(3, 1)]
    assert (host.gup(3, True), host.pfn(4)) == (-EHWPOISON, pfn + 4)
    host = make_host("hugetlb2m")
    host.fault(0, True)
    host.mm.hwpoison(*host.span(3, 1))
    assert host.events() == bracket(0, HUGE)
    assert host.gup(100, True) == -EHWPOISON


def test_a_pinned_thp_is_spared(make_host: Make) -> None:
    host = make_host("thp")
    pfn = host.pin(0)
    host.mm.hwpoison(*host.span(3, 1))
    assert host.events() == []
    host.mm.put_page(pfn)


@pytest.mark.parametrize(("flush", "call"), [(True, "clear_flush_young"), (False, "clear_young")])
def test_aging_asks_for_mapped_ranges(make_host: Make, flush: bool, call: str) -> None:
    host = make_host("4k")
    for page in (3, 4, 9):
        host.fault(page, True)
    assert host.mm.age(*host.span(0, HUGE), flush) == 1
    assert host.events() == [(call, 3, 5), (call, 9, 10)]
    assert host.mm.age(*host.span(0, HUGE), flush) == 0
    assert host.mm.test_age(host.at(3)) == 0
    host.notifier.young = 1
    assert host.mm.age(*host.span(0, HUGE), flush) == 1
    assert host.mm.test_age(host.at(3)) == 1
    assert host.mm.test_age(host.at(5)) == 0


def test_aging_a_thp_is_one_call(make_host: Make) -> None:
    host = make_host("thp")
    host.fault(0, True)
    host.mm.age(*host.span(7, 1), True)
    assert host.events() == [("clear_flush_young", 0, HUGE)]
