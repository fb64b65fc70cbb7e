# SPDX-License-Identifier: GPL-2.0-only
"""Huge pages in shared memory: the page cache has them, and entries are found there again."""

from __future__ import annotations

from collections.abc import Callable

from .recorder import HUGE, Host, bracket

Make = Callable[[str], Host]


def host_of(make_host: Make) -> Host:
    """One huge page, written at two places."""
    host = make_host("shmem_thp")
    host.write(0, 7)
    host.write(9, 8)
    assert host.level(0) == 2
    host.events()
    return host


def test_an_entry_that_is_split_is_gone(make_host: Make) -> None:
    host = host_of(make_host)
    pfn = host.pfn(0)
    host.mm.thp_split(host.at(0))
    assert host.events() == bracket(0, HUGE)
    assert host.pfn(0) == 0
    assert [host.read(0), host.level(0), host.pfn(0)] == [7, 2, pfn]


def test_it_is_there_after_its_entry_went(make_host: Make) -> None:
    host = host_of(make_host)
    host.mm.munmap(*host.span(0, HUGE))
    host.mm.mmap(*host.span(0, HUGE))
    assert [host.read(9), host.level(9)] == [8, 2]


def test_nohugepage_and_a_neighbour_mean_small_pages(make_host: Make) -> None:
    host = make_host("shmem_thp")
    host.mm.thp_advice(*host.span(0, HUGE), on=False)
    host.write(0, 7)
    assert host.level(0) == 1
    host.mm.thp_advice(*host.span(0, HUGE), on=True)
    host.write(1, 7)
    assert host.level(1) == 1


def test_a_hole_in_a_part_splits_the_page(make_host: Make) -> None:
    host = host_of(make_host)
    host.mm.punch_hole(*host.span(0, 1))
    assert [host.read(0), host.read(9), host.level(9)] == [0, 8, 1]


def test_a_hole_in_a_page_that_is_held_is_zeros_where_it_is(make_host: Make) -> None:
    host = host_of(make_host)
    pfn = host.pin(9)
    host.mm.punch_hole(*host.span(0, 9))
    assert [host.read(0), host.read(9), host.pfn(9)] == [0, 8, pfn]
    host.mm.put_page(pfn)


def test_a_hole_over_all_of_it_takes_it_away(make_host: Make) -> None:
    host = host_of(make_host)
    pfn = host.pfn(0)
    host.mm.punch_hole(*host.span(0, HUGE))
    assert host.mm.frames.is_free(pfn)
    assert [host.read(9), host.level(9)] == [0, 2]


def test_reclaim_splits_it_and_swaps_its_pages(make_host: Make) -> None:
    host = host_of(make_host)
    host.mm.madvise_pageout(*host.span(0, HUGE))
    assert host.pfn(0) == 0
    assert [host.read(0), host.read(9), host.read(1), host.level(0)] == [7, 8, 0, 1]


def test_it_moves_as_a_whole(make_host: Make) -> None:
    host = host_of(make_host)
    pfn = host.pfn(0)
    host.mm.migrate(*host.span(0, 1))
    assert [host.read(9), host.level(9)] == [8, 2]
    assert host.pfn(0) != pfn
    host.mm.madvise_dontneed(*host.span(0, HUGE))
    assert host.read(9) == 8


def test_a_memory_error_splits_it(make_host: Make) -> None:
    host = host_of(make_host)
    host.mm.hwpoison(*host.span(9, 1))
    assert host.read(9) is None
    assert [host.read(0), host.level(0)] == [7, 1]


def test_a_part_that_is_protected_is_mapped_by_small_entries(make_host: Make) -> None:
    host = host_of(make_host)
    host.mm.mprotect(*host.span(0, 8), 1)
    assert [host.read(0), host.read(9), host.level(9)] == [7, 8, 1]
    assert not host.writable(0)
