# SPDX-License-Identifier: GPL-2.0-only
"""Clean pages: MADV_FREE, write-back, and a reclaim that drops what nobody calls dirty."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .recorder import HUGE, Host, bracket

Make = Callable[[str], Host]


def guest_write(host: Host, page: int, value: int, told: bool = True) -> None:
    """A write through an SPTE that a fast fault made: the host's entry does not show it."""
    addr = host.at(page)
    pfn = host.mm.get_user_page_fast_only(addr, True)
    assert pfn >= 0
    host.mm.frames.set_data(pfn, value)
    if told:
        host.mm.set_page_dirty(pfn)
    host.mm.put_page(pfn)


def test_a_lazily_freed_page_is_dropped_unless_it_is_written(make_host: Make) -> None:
    host = make_host("4k")
    for page in range(4):
        host.write(page, 7)
    host.mm.madvise_free(*host.span(0, 4))
    assert host.events() == bracket(0, 4)
    assert [host.read(page) for page in range(4)] == [7] * 4, "they stay until reclaim comes"
    host.write(0, 8)
    guest_write(host, 1, 9)
    guest_write(host, 2, 9, told=False)
    dropped = host.mm.swap_out(*host.span(0, 4))
    assert [host.read(page) for page in range(4)] == [8, 9, 0, 0]
    assert dropped
    host.mm.swap_out(*host.span(0, 2))
    assert [host.read(page) for page in range(2)] == [8, 9], "ordinary pages again"


def test_a_pinned_or_shared_page_is_kept(make_host: Make) -> None:
    host = make_host("4k")
    pfn = host.pin(0)
    host.write(0, 7)
    host.write(1, 7)
    host.mm.fork(*host.span(1, 1))
    host.mm.madvise_free(*host.span(0, 2))
    assert host.mm.swap_out(*host.span(0, 2)) == 0
    assert [host.read(page) for page in range(2)] == [7, 7]
    host.mm.put_page(pfn)


def test_a_child_of_a_later_fork_loses_it_too(make_host: Make) -> None:
    host = make_host("4k")
    host.write(1, 7)
    host.mm.madvise_free(*host.span(1, 1))
    host.mm.fork(*host.span(1, 1))
    assert host.mm.swap_out(*host.span(1, 1))
    assert host.read(1) == 0


def test_what_is_in_swap_goes_at_once(make_host: Make) -> None:
    host = make_host("4k")
    host.write(2, 7)
    host.mm.swap_out(*host.span(2, 1))
    host.mm.madvise_free(*host.span(2, 1))
    assert host.mm.content(host.at(2)) == 0
    assert not host.mm.swap


def test_a_whole_thp_is_freed_lazily_and_kept_if_any_page_is_dirty(make_host: Make) -> None:
    host = make_host("thp")
    host.write(3, 7)
    host.mm.madvise_free(*host.span(0, HUGE))
    assert host.level(0) == 2
    guest_write(host, 5, 8)
    assert host.mm.swap_out(*host.span(0, HUGE)) == 0
    assert (host.read(3), host.read(5)) == (7, 8)
    host.mm.madvise_free(*host.span(0, HUGE))
    assert host.mm.swap_out(*host.span(0, HUGE))
    assert (host.read(3), host.read(5)) == (0, 0)


def test_a_part_of_a_thp_is_split_first(make_host: Make) -> None:
    host = make_host("thp")
    host.write(3, 7)
    host.write(4, 7)
    host.mm.madvise_free(*host.span(3, 1))
    assert host.level(3) == 1
    host.mm.swap_out(*host.span(0, 8))
    assert (host.read(3), host.read(4)) == (0, 7)


def test_a_thp_mapped_by_small_entries_is_split_when_a_part_is_freed(make_host: Make) -> None:
    host = make_host("thp")
    host.write(3, 7)
    host.write(4, 7)
    host.mm.thp_split(host.at(0))
    host.mm.madvise_free(*host.span(0, 4))
    host.mm.swap_out(*host.span(0, 8))
    assert (host.read(3), host.read(4)) == (0, 7)


@pytest.mark.parametrize("kind", ["shared", "file", "hugetlb2m", "pfnmap"])
def test_other_memory_is_not_freed_lazily(make_host: Make, kind: str) -> None:
    host = make_host(kind)
    host.write(2, 9)
    host.mm.madvise_free(*host.span(0, HUGE))
    assert host.events() == []
    host.mm.swap_out(*host.span(0, HUGE))
    assert host.read(2) == 9


def test_ksm_makes_a_lazily_freed_page_dirty(make_host: Make) -> None:
    host = make_host("4k")
    host.write(1, 7)
    host.write(2, 7)
    host.mm.madvise_free(*host.span(1, 2))
    assert host.mm.ksm_merge(host.at(1), host.at(2))
    assert host.mm.swap_out(*host.span(1, 2)) == 0
    assert (host.read(1), host.read(2)) == (7, 7)


def test_migration_takes_the_state_along(make_host: Make) -> None:
    host = make_host("4k")
    host.write(1, 7)
    host.write(2, 7)
    host.mm.madvise_free(*host.span(1, 2))
    guest_write(host, 1, 8)
    host.mm.migrate(*host.span(1, 2))
    host.mm.swap_out(*host.span(1, 2))
    assert (host.read(1), host.read(2)) == (8, 0)


def test_shmem_that_nobody_calls_dirty_is_dropped(make_host: Make) -> None:
    host = make_host("shared")
    for page in range(3):
        host.fault(page, False)
        assert host.writable(page)
    guest_write(host, 0, 7)
    guest_write(host, 1, 7, told=False)
    host.write(2, 7)
    host.mm.swap_out(*host.span(0, 3))
    assert [host.read(page) for page in range(3)] == [7, 0, 7]


def test_shmem_stays_dirty_when_it_is_unmapped_or_swapped_in(make_host: Make) -> None:
    host = make_host("shared")
    host.write(0, 7)
    host.mm.madvise_dontneed(*host.span(0, 1))
    host.fault(0, False)
    for _ in range(2):
        host.mm.swap_out(*host.span(0, 1))
        assert host.read(0) == 7


def test_a_file_is_clean_and_read_only_until_it_is_written(make_host: Make) -> None:
    host = make_host("file")
    host.fault(0, False)
    assert not host.writable(0)
    host.write(0, 7)
    assert host.writable(0)
    old = host.pfn(0)
    host.events()
    host.mm.writeback(*host.span(0, 8))
    assert host.events() == bracket(0, 1)
    assert (host.pfn(0), host.writable(0)) == (old, False)
    host.mm.writeback(*host.span(0, 8))
    assert host.events() == [], "it is clean"
    host.mm.swap_out(*host.span(0, 1))
    assert host.mm.frames.is_free(old)
    assert (host.read(0), host.mm.content(host.at(0))) == (7, 7)


def test_reclaim_leaves_a_dirty_page_of_a_file_in_the_cache(make_host: Make) -> None:
    host = make_host("file")
    host.write(0, 7)
    old = host.pfn(0)
    host.mm.swap_out(*host.span(0, 1))
    assert host.pfn(0) == 0
    host.fault(0, False)
    assert (host.pfn(0), host.read(0)) == (old, 7)
    host.mm.munmap(*host.span(0, 1))
    host.mm.writeback(*host.span(0, 1))
    host.mm.mmap(*host.span(0, 1))
    assert (host.pfn(0), host.read(0)) == (0, 7)


def test_mprotect_gives_a_file_back_what_is_dirty_only(make_host: Make) -> None:
    host = make_host("file")
    host.write(0, 7)
    host.fault(1, False)
    host.mm.mprotect(*host.span(0, 2), 1)
    assert not host.writable(0)
    host.mm.mprotect(*host.span(0, 2), 2)
    assert (host.writable(0), host.writable(1)) == (True, False)


def test_write_back_is_for_files(make_host: Make) -> None:
    host = make_host("shared")
    host.write(0, 7)
    host.events()
    host.mm.writeback(*host.span(0, 8))
    assert host.events() == []
    assert host.writable(0)


@pytest.mark.parametrize(("gone", "split"), [(0, False), (1, True)])
def test_sharers_are_guessed_by_the_first_page(make_host: Make, gone: int, split: bool) -> None:
    """folio_estimated_sharers(): a huge page whose first page is not mapped is left alone."""
    host = make_host("thp")
    host.write(3, 7)
    host.mm.madvise_dontneed(*host.span(gone, 1))
    run = host.mm.frames.run(host.pfn(3))
    assert run is not None
    host.mm.madvise_free(*host.span(3, 1))
    assert run.split == split
