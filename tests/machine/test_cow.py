# SPDX-License-Identifier: GPL-2.0-only
"""fork and copy-on-write, KSM, and when a page is reused instead of copied."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .recorder import GIG, HUGE, Host, bracket

Make = Callable[[str], Host]


def test_fork_write_protects_in_one_bracket(make_host: Make) -> None:
    host = make_host("4k")
    pfns = [host.fault(page, True) for page in (1, 2, 9)]
    host.mm.fork(*host.span(0, 4))
    assert host.events() == bracket(0, 4)
    assert [host.writable(page) for page in (1, 2, 9)] == [False, False, True]
    assert [host.mm.frames.page_count(pfn) for pfn in pfns] == [2, 2, 1]


def test_fork_of_memory_never_touched_is_silent(make_host: Make) -> None:
    host = make_host("4k")
    host.fault(1, False)
    host.mm.fork(*host.span(0, HUGE))
    assert host.events() == []


@pytest.mark.parametrize("kind", ["shared", "pfnmap"])
def test_fork_shares_shared_memory_as_it_is(make_host: Make, kind: str) -> None:
    host = make_host(kind)
    host.write(1, 1)
    host.mm.fork(*host.span(0, 8))
    assert host.events() == []
    assert host.writable(1)


def test_a_write_after_fork_copies_with_change_pte(make_host: Make) -> None:
    host = make_host("4k")
    host.write(1, 5)
    old = host.pfn(1)
    host.mm.fork(*host.span(0, 4))
    host.events()
    new = host.fault(1, True)
    assert new != old
    assert host.events() == bracket(1, 1, ("change", 1, new))
    assert host.read(1) == 5
    assert not host.mm.frames.is_free(old), "the child has it"


def test_a_single_owner_reuses_the_page_in_silence(make_host: Make) -> None:
    host = make_host("4k")
    pfn = host.fault(1, True)
    host.mm.fork(*host.span(0, 4))
    host.mm.child_exit()
    host.events()
    assert host.fault(1, True) == pfn
    assert host.writable(1)
    assert host.events() == []


def test_a_pinned_page_is_copied_after_fork_even_with_a_single_owner(make_host: Make) -> None:
    host = make_host("4k")
    pfn = host.pin(1)
    host.mm.fork(*host.span(0, 4))
    host.mm.child_exit()
    assert host.fault(1, True) != pfn
    host.mm.put_page(pfn)
    assert host.mm.frames.is_free(pfn)


def test_a_pinned_exclusive_page_is_reused_after_mprotect(make_host: Make) -> None:
    host = make_host("thp")
    pfn = host.pin(0)
    host.mm.mprotect(*host.span(0, HUGE), 1)
    host.mm.mprotect(*host.span(0, HUGE), 2)
    assert host.fault(0, True) == pfn
    host.mm.put_page(pfn)


def test_cow_write_writes_only_where_a_copy_or_reuse_is_due(make_host: Make) -> None:
    host = make_host("4k")
    host.mm.cow_write(host.at(1), 3)
    assert host.pfn(1) == 0
    host.write(1, 4)
    host.mm.cow_write(host.at(1), 5)
    assert host.read(1) == 4
    host.mm.fork(*host.span(1, 1))
    host.mm.cow_write(host.at(1), 6)
    assert host.read(1) == 6


def test_the_next_fork_ends_the_child_of_the_last(make_host: Make) -> None:
    host = make_host("4k")
    pfn = host.fault(1, True)
    host.mm.fork(*host.span(1, 1))
    host.mm.madvise_dontneed(*host.span(1, 1))
    assert not host.mm.frames.is_free(pfn)
    host.mm.fork(*host.span(2, 1))
    assert host.mm.frames.is_free(pfn)


def test_a_shared_thp_is_split_and_one_page_copied(make_host: Make) -> None:
    host = make_host("thp")
    pfn = host.fault(0, True)
    host.mm.fork(*host.span(0, HUGE))
    assert host.events() == bracket(0, HUGE)
    new = host.fault(7, True)
    assert host.events() == [*bracket(0, HUGE), *bracket(7, 1, ("change", 7, new))]
    assert [host.pfn(page) for page in (6, 7, 8)] == [pfn + 6, new, pfn + 8]
    assert host.level(7) == 1


def test_a_thp_that_is_whole_again_is_reused(make_host: Make) -> None:
    host = make_host("thp")
    pfn = host.fault(0, True)
    host.mm.fork(*host.span(0, HUGE))
    host.mm.child_exit()
    host.events()
    assert host.fault(7, True) == pfn + 7
    assert (host.level(7), host.writable(0)) == (2, True)
    assert host.events() == []


def test_fork_of_a_part_of_a_thp_splits_it_first(make_host: Make) -> None:
    host = make_host("thp")
    host.fault(0, True)
    host.mm.fork(*host.span(4, 4))
    assert host.events() == [*bracket(0, HUGE), *bracket(4, 4)]
    assert [host.writable(page) for page in (3, 4, 7, 8)] == [True, False, False, True]


@pytest.mark.parametrize(("kind", "size"), [("hugetlb2m", HUGE), ("hugetlb1g", GIG)])
def test_hugetlb_copies_whole_pages_without_change_pte(
    make_host: Make, kind: str, size: int
) -> None:
    host = make_host(kind)
    host.write(3, 8)
    old = host.pfn(0)
    host.mm.fork(*host.span(0, 1))
    assert host.events() == bracket(0, size)
    host.fault(5, True)
    assert host.events() == bracket(0, size)
    assert host.pfn(0) != old
    assert host.read(3) == 8


def test_ksm_makes_two_equal_pages_one(make_host: Make) -> None:
    host = make_host("4k")
    host.write(1, 6)
    host.write(9, 6)
    first, second = host.pfn(1), host.pfn(9)
    assert host.mm.ksm_merge(host.at(1), host.at(9))
    assert host.events() == [
        *bracket(1, 1, ("change", 1, first)),
        *bracket(9, 1, ("change", 9, second)),
        *bracket(9, 1, ("change", 9, first)),
    ]
    assert host.pfn(9) == first
    assert not host.writable(1)
    assert not host.writable(9)
    assert host.mm.frames.is_free(second)


def test_a_write_to_a_ksm_page_always_copies(make_host: Make) -> None:
    host = make_host("4k")
    host.write(1, 6)
    host.write(2, 6)
    assert host.mm.ksm_merge(host.at(1), host.at(2))
    shared = host.pfn(1)
    host.write(1, 7)
    host.write(2, 8)
    assert shared not in (host.pfn(1), host.pfn(2))
    assert (host.read(1), host.read(2)) == (7, 8)
    assert host.mm.frames.is_free(shared)


def test_ksm_takes_neither_different_nor_pinned_pages(make_host: Make) -> None:
    host = make_host("4k")
    host.write(1, 6)
    host.write(2, 7)
    assert not host.mm.ksm_merge(host.at(1), host.at(2))
    assert host.events() == []
    host.write(2, 6)
    pfn = host.pin(1)
    assert not host.mm.ksm_merge(host.at(1), host.at(2))
    assert host.events() == bracket(1, 1), "found pinned only when the entry is clear"
    assert host.writable(1)
    host.mm.put_page(pfn)


def test_a_ksm_page_that_found_no_partner_is_broken_again(make_host: Make) -> None:
    host = make_host("4k")
    host.write(1, 6)
    host.write(2, 6)
    first = host.pfn(1)
    pfn = host.pin(2)
    assert not host.mm.ksm_merge(host.at(1), host.at(2))
    new = host.pfn(1)
    assert new != first
    assert host.events() == [
        *bracket(1, 1, ("change", 1, first)),
        *bracket(2, 1),
        *bracket(1, 1, ("change", 1, new)),
    ]
    host.mm.put_page(pfn)
