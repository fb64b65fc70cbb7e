# SPDX-License-Identifier: GPL-2.0-only
"""THP collapse, split and advice."""

from __future__ import annotations

from collections.abc import Callable

from difffuzz.facts.errno import EINVAL

from .recorder import HUGE, Host, bracket

Make = Callable[[str], Host]


def small_pages(make_host: Make) -> Host:
    """A host where pages 1 and 2 are mapped by 4K entries, and THPs are allowed again."""
    host = make_host("thp")
    host.mm.thp_advice(*host.span(0, HUGE), False)
    host.write(1, 5)
    host.fault(2, False)
    host.mm.thp_advice(*host.span(0, HUGE), True)
    host.events()
    return host


def test_collapse_copies_into_a_huge_page(make_host: Make) -> None:
    host = small_pages(make_host)
    old = host.pfn(1)
    assert host.mm.thp_collapse(host.at(77))
    assert host.events() == bracket(0, HUGE)
    assert (host.level(0), host.writable(0)) == (2, True)
    assert host.pfn(1) == host.pfn(0) + 1
    assert (host.read(1), host.read(2), host.read(3)) == (5, 0, 0)
    assert host.mm.frames.is_free(old)


def test_collapse_maps_the_huge_page_after_the_bracket(make_host: Make) -> None:
    host = small_pages(make_host)
    seen: list[tuple[int, int]] = []
    original = host.notifier.invalidate_range_end

    def watch(start: int, end: int) -> None:
        original(start, end)
        seen.append((host.pfn(1), host.mm.get_user_page_fast_only(host.at(1), True)))

    host.notifier.invalidate_range_end = watch  # type: ignore[method-assign]
    assert host.mm.thp_collapse(host.at(0))
    assert seen == [(0, -1)]


def test_collapse_brings_pages_back_from_swap(make_host: Make) -> None:
    host = small_pages(make_host)
    host.write(3, 6)
    host.mm.swap_out(*host.span(1, 1))
    assert host.mm.thp_collapse(host.at(0))
    assert (host.read(1), host.read(3)) == (5, 6)


def test_what_collapse_refuses(make_host: Make) -> None:
    host = small_pages(make_host)
    pfn = host.pin(1)
    assert not host.mm.thp_collapse(host.at(0)), "pinned"
    host.mm.put_page(pfn)
    host.mm.thp_advice(*host.span(0, HUGE), False)
    assert not host.mm.thp_collapse(host.at(0)), "not advised"
    host.mm.thp_advice(*host.span(0, HUGE), True)
    assert not host.mm.thp_collapse(host.at(HUGE)), "no page table"
    host.mm.fork(*host.span(0, HUGE))
    host.events()
    assert not host.mm.thp_collapse(host.at(0)), "nothing writable"
    assert host.events() == []
    host.write(1, 8)
    assert host.mm.thp_collapse(host.at(0))
    assert not host.mm.thp_collapse(host.at(0)), "huge already"


def test_split_keeps_the_pages(make_host: Make) -> None:
    host = make_host("thp")
    pfn = host.fault(0, True)
    host.mm.thp_split(host.at(9))
    assert host.events() == bracket(0, HUGE)
    assert (host.level(9), host.pfn(9), host.writable(9)) == (1, pfn + 9, True)
    host.mm.thp_split(host.at(9))
    assert host.events() == []


def test_a_page_of_a_split_thp_is_reused_only_if_exclusive(make_host: Make) -> None:
    host = make_host("thp")
    pfn = host.fault(0, True)
    host.mm.thp_split(host.at(0))
    host.mm.fork(*host.span(0, HUGE))
    host.mm.child_exit()
    assert host.fault(9, True) != pfn + 9, "the page is still part of a large folio"


def test_advice_decides_what_the_next_fault_maps(make_host: Make) -> None:
    host = make_host("4k")
    host.mm.thp_advice(*host.span(HUGE, HUGE), True)
    host.fault(HUGE, True)
    host.fault(2 * HUGE, True)
    assert (host.level(HUGE), host.level(2 * HUGE)) == (2, 1)


def test_advice_on_a_part_splits_the_mapping_and_the_thp(make_host: Make) -> None:
    host = make_host("thp")
    host.fault(0, True)
    host.mm.thp_advice(*host.span(0, 8), False)
    assert host.events() == bracket(0, HUGE)
    assert host.level(0) == 1


def test_advice_means_nothing_to_hugetlb(make_host: Make) -> None:
    host = make_host("hugetlb2m")
    host.fault(0, True)
    host.mm.thp_advice(*host.span(3, 8), False)
    host.mm.thp_split(host.at(0))
    assert host.events() == []
    assert host.level(0) == 2


def test_madvise_collapse_wants_a_vma_that_a_huge_page_fits_into(make_host: Make) -> None:
    host = small_pages(make_host)
    assert host.mm.madvise_collapse(*host.span(0, 2)) == 0, "nothing whole is in the range"
    host.mm.munmap(*host.span(8, HUGE - 8))
    assert host.mm.madvise_collapse(*host.span(0, 2)) == -EINVAL
