# SPDX-License-Identifier: GPL-2.0-only
"""munmap, mmap, MADV_DONTNEED and mprotect: notifier ranges and what is left."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .recorder import GIG, HUGE, Host, bracket

Make = Callable[[str], Host]


def test_dontneed_gives_the_page_back_and_the_next_is_fresh(make_host: Make) -> None:
    host = make_host("4k")
    pfn = host.fault(8, True)
    host.write(8, 5)
    host.mm.madvise_dontneed(*host.span(8, 8))
    assert host.events() == bracket(8, 8)
    assert host.mm.frames.is_free(pfn)
    assert host.read(8) == 0
    assert host.fault(8, True) != pfn


def test_a_pinned_page_is_not_free_before_it_is_put(make_host: Make) -> None:
    host = make_host("4k")
    pfn = host.pin(8)
    host.mm.madvise_dontneed(*host.span(8, 1))
    assert not host.mm.frames.is_free(pfn)
    host.mm.put_page(pfn)
    assert host.mm.frames.is_free(pfn)


def test_dontneed_of_a_part_splits_the_thp_inside_its_bracket(make_host: Make) -> None:
    host = make_host("thp")
    pfn = host.fault(0, True)
    host.mm.madvise_dontneed(*host.span(4, 2))
    assert host.events() == bracket(4, 2, *bracket(0, HUGE))
    assert [host.pfn(page) for page in (3, 4, 5, 6)] == [pfn + 3, 0, 0, pfn + 6]
    assert [host.mm.frames.is_free(pfn + i) for i in (3, 4, 6)] == [False, True, False]


def test_dontneed_of_a_whole_thp_does_not_split(make_host: Make) -> None:
    host = make_host("thp")
    pfn = host.fault(0, True)
    host.mm.madvise_dontneed(*host.span(0, HUGE))
    assert host.events() == bracket(0, HUGE)
    assert host.mm.frames.is_free(pfn + 17)
    host.fault(0, True)
    assert host.level(0) == 2


def test_munmap_splits_first_then_one_bracket(make_host: Make) -> None:
    host = make_host("thp")
    host.fault(HUGE, True)
    host.mm.munmap(*host.span(HUGE - 8, 16))
    # The lower end cuts a range without a THP, but Linux does not look before it calls.
    assert host.events() == [*bracket(0, HUGE), *bracket(HUGE, HUGE), *bracket(HUGE - 8, 16)]
    assert (host.pfn(HUGE + 7), host.level(HUGE + 8)) == (0, 1)


def test_munmap_of_nothing_is_silent(make_host: Make) -> None:
    host = make_host("4k")
    host.mm.munmap(*host.span(0, 8))
    host.events()
    host.mm.munmap(*host.span(0, 8))
    host.mm.madvise_dontneed(*host.span(0, 8))
    host.mm.mprotect(*host.span(0, 8), 0)
    assert host.events() == []


def test_mmap_replaces_what_is_there(make_host: Make) -> None:
    host = make_host("4k")
    host.write(3, 9)
    host.mm.mprotect(*host.span(2, 4), 1)
    host.events()
    host.mm.mmap(*host.span(0, HUGE))
    assert host.events() == bracket(0, HUGE)
    assert host.read(3) == 0
    assert host.mm.prot(host.at(3)) == 3
    assert len(list(host.mm.vmas)) == 1, "merged again"


def test_dontneed_calls_once_a_vma_and_skips_holes(make_host: Make) -> None:
    host = make_host("4k")
    host.mm.munmap(*host.span(4, 2))
    host.events()
    host.mm.madvise_dontneed(*host.span(0, 10))
    assert host.events() == [*bracket(0, 4), *bracket(6, 4)]


def test_device_memory_refuses_dontneed(make_host: Make) -> None:
    host = make_host("pfnmap")
    host.write(0, 3)
    host.mm.madvise_dontneed(*host.span(0, 8))
    assert host.events() == []
    assert host.pfn(0)


@pytest.mark.parametrize(("kind", "size"), [("hugetlb2m", HUGE), ("hugetlb1g", GIG)])
def test_hugetlb_is_unmapped_in_whole_pages(make_host: Make, kind: str, size: int) -> None:
    host = make_host(kind)
    pfn = host.fault(size + 3, True)
    host.mm.madvise_dontneed(*host.span(size + 1, 2))
    assert host.events() == bracket(size, size, *bracket(size, size))
    assert host.mm.frames.is_free(pfn)


def test_mprotect_calls_from_the_first_page_table_on(make_host: Make) -> None:
    host = make_host("4k")
    host.mm.mprotect(*host.span(0, 0x1000), 1)
    assert host.events() == [], "no page table yet"
    host.mm.mmap(*host.span(0, 0x1000))
    host.fault(0x420, True)
    host.fault(GIG + 0x1, True)
    host.events()
    host.mm.mprotect(*host.span(0, GIG + HUGE), 1)
    assert host.events() == [*bracket(0x400, GIG - 0x400), *bracket(GIG, HUGE)]


def test_mprotect_to_none_and_back(make_host: Make) -> None:
    host = make_host("4k")
    host.write(1, 11)
    pfn = host.pfn(1)
    host.mm.mprotect(*host.span(0, HUGE), 0)
    assert (host.pfn(1), host.read(1)) == (0, None)
    host.mm.mprotect(*host.span(0, HUGE), 2)
    assert (host.pfn(1), host.writable(1), host.read(1)) == (pfn, True, 11)


def test_mprotect_makes_a_thp_read_only_until_the_next_write(make_host: Make) -> None:
    host = make_host("thp")
    pfn = host.fault(0, True)
    host.mm.mprotect(*host.span(0, HUGE), 1)
    assert host.events() == bracket(0, HUGE)
    host.mm.mprotect(*host.span(0, HUGE), 2)
    assert (host.level(0), host.writable(0)) == (2, False)
    host.events()
    assert host.fault(0, True) == pfn, "exclusive: reused"
    assert host.writable(0)
    assert host.events() == []


def test_mprotect_of_a_part_splits_the_thp_first(make_host: Make) -> None:
    host = make_host("thp")
    host.fault(0, True)
    host.mm.mprotect(*host.span(4, 4), 1)
    assert host.events() == [*bracket(0, HUGE), *bracket(4, 4)]
    assert [host.writable(page) for page in (3, 4, 7, 8)] == [True, False, False, True]


def test_big_ranges_cost_what_is_mapped(make_host: Make) -> None:
    host = make_host("4k")
    host.fault(0x3FFFF, True)
    before = host.mm.sched.budget
    host.mm.madvise_dontneed(*host.span(0, GIG))
    host.mm.fork(*host.span(0, GIG))
    host.mm.swap_out(*host.span(0, GIG))
    host.mm.age(*host.span(0, GIG), True)
    assert before - host.mm.sched.budget < 50
