# SPDX-License-Identifier: GPL-2.0-only
"""MADV_COLLAPSE of shared memory: the page cache gets a huge page, however shmem is mounted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from difffuzz.facts.errno import EAGAIN, EINVAL
from difffuzz.machine.uffd import OFF, WP

from .recorder import HUGE, Host, bracket

Make = Callable[[str], Host]
KINDS = pytest.mark.parametrize("kind", ["shared", "shmem_thp"])


def small_pages(make_host: Make, kind: str) -> Host:
    """Pages 0, 1 and 9 of a 2M range, the second of them swapped out."""
    host = make_host(kind)
    host.mm.thp_advice(*host.span(0, HUGE), on=False)
    for page, value in ((0, 7), (1, 8), (9, 9)):
        host.write(page, value)
    host.mm.swap_out(*host.span(1, 1))
    host.mm.thp_advice(*host.span(0, HUGE), on=True)
    assert host.level(0) == 1
    host.events()
    return host


@KINDS
def test_pages_are_unmapped_one_by_one_and_a_huge_page_takes_their_place(
    make_host: Make, kind: str
) -> None:
    host = small_pages(make_host, kind)
    old = host.pfn(0)
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == 0
    assert host.events() == bracket(0, 1) + bracket(9, 1) + bracket(0, HUGE)
    assert host.level(9) == 2
    assert host.writable(0)
    assert host.mm.frames.is_free(old)
    assert [host.read(page) for page in (0, 1, 2, 9, HUGE - 1)] == [7, 8, 0, 9, 0]
    host.events()
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == 0, "it is there already"
    assert host.events() == []


@KINDS
def test_a_page_that_is_held_has_all_put_back(make_host: Make, kind: str) -> None:
    host = small_pages(make_host, kind)
    pfn = host.pin(9)
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == -EAGAIN
    assert host.events() == []
    assert [host.level(0), host.pfn(9)] == [1, pfn]
    assert [host.read(page) for page in (0, 1, 2, 9)] == [7, 8, 0, 9]
    host.mm.put_page(pfn)


def test_one_that_comes_to_be_held_meanwhile_does_too(make_host: Make) -> None:
    """Between the look and the page's turn; the page before it is unmapped already."""
    host = small_pages(make_host, "shared")
    old = host.pfn(0)
    held: list[int] = []
    begin = host.notifier.invalidate_range_start

    def pin_then_begin(start: int, end: int, blockable: bool) -> None:
        if not held:
            held.append(host.mm.get_user_page_fast_only(host.at(9), True))
        begin(start, end, blockable)

    host.notifier.invalidate_range_start = pin_then_begin  # type: ignore[method-assign]
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == -EAGAIN
    assert host.events() == bracket(0, 1) + bracket(9, 1)
    host.mm.put_page(held[0])
    assert [host.read(page) for page in (0, 1, 2, 9)] == [7, 8, 0, 9]
    assert [host.pfn(0), host.pfn(9)] == [old, held[0]]


@KINDS
def test_what_cannot_be_huge(make_host: Make, kind: str) -> None:
    host = make_host(kind)
    collapse = host.mm.madvise_collapse
    assert collapse(*host.span(0, HUGE)) == -EINVAL, "nothing was ever there"
    host.mm.thp_advice(*host.span(0, HUGE), on=False)
    host.write(0, 7)
    assert collapse(*host.span(0, HUGE)) == -EINVAL, "MADV_NOHUGEPAGE"
    host.mm.thp_advice(*host.span(0, HUGE), on=True)
    assert host.mm.uffd(*host.span(0, HUGE), WP, 0) == -EINVAL
    host.mm.hwpoison(*host.span(0, 1))
    assert collapse(*host.span(0, HUGE)) == -EAGAIN, "it is on no LRU list"
    assert host.mm.uffd(*host.span(0, HUGE), OFF, 0) == 0


def test_files_on_a_disk_stay_small(make_host: Make) -> None:
    host = make_host("file")
    host.write(0, 7)
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == -EINVAL
    assert host.level(0) == 1


def test_without_a_page_table_the_page_cache_changes_and_the_answer_is_an_error(
    make_host: Make,
) -> None:
    """SCAN_PMD_NONE where other tables are near, which ends it; the next time there is a THP."""
    host = small_pages(make_host, "shared")
    host.write(HUGE, 5)
    host.mm.munmap(*host.span(0, HUGE))
    host.mm.mmap(*host.span(0, HUGE))
    host.events()
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == -EINVAL
    assert host.events() == []
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == 0
    assert [host.read(9), host.level(9)] == [9, 2]


def test_a_table_over_a_huge_page_goes(make_host: Make) -> None:
    """What maps parts of it, since its entry was split, becomes one entry again."""
    host = small_pages(make_host, "shared")
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == 0
    pfn = host.pfn(0)
    host.mm.madvise_dontneed(*host.span(3, 1))
    assert host.read(0) == 7
    host.events()
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == 0
    assert [host.pfn(0), host.level(0)] == [pfn, 2]
    assert host.events() in ([], bracket(0, HUGE))
