# SPDX-License-Identifier: GPL-2.0-only
"""MADV_COLD, MADV_PAGEOUT, MADV_COLLAPSE, holes in files, mremap: what moves, what is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from difffuzz.facts.errno import EAGAIN, EFAULT, EINVAL, ENOMEM
from difffuzz.machine.age import HOST_YOUNG
from difffuzz.machine.host import PTE_HUGE

from .recorder import HUGE, Host, bracket

Make = Callable[[str], Host]


def test_cold_pages_are_old_and_kvm_hears_nothing(make_host: Make) -> None:
    host = make_host("4k")
    host.write(0, 7)
    host.events()
    assert host.mm.test_age_told(host.at(0)) & HOST_YOUNG
    host.events()
    host.mm.madvise_cold(*host.span(0, 1))
    assert host.events() == []
    assert not host.mm.test_age_told(host.at(0)) & HOST_YOUNG
    assert host.read(0) == 7


def test_cold_splits_a_thp_that_it_covers_in_part(make_host: Make) -> None:
    host = make_host("thp")
    host.write(0, 7)
    host.events()
    host.mm.madvise_cold(*host.span(0, HUGE))
    assert host.mm.pt.leaf(host.at(0))[1] == 2
    assert host.events() == []
    host.mm.madvise_cold(*host.span(0, 8))
    assert host.mm.pt.leaf(host.at(0))[1] == 1
    assert host.events() == bracket(0, HUGE) * 2


def test_pageout_spares_what_a_child_maps(make_host: Make) -> None:
    host = make_host("4k")
    host.write(0, 7)
    host.write(1, 8)
    host.mm.fork(*host.span(1, 1))
    host.events()
    host.mm.madvise_pageout(*host.span(0, 2))
    assert host.events() == bracket(0, 1)
    assert host.mm.lookup(host.at(1))
    host.mm.swap_out(*host.span(0, 2))
    assert not host.mm.lookup(host.at(1)), "reclaim by itself does not"
    assert [host.read(0), host.read(1)] == [7, 8]


@pytest.mark.parametrize("kind", ["hugetlb2m", "pfnmap"])
def test_pageout_leaves_other_memory(make_host: Make, kind: str) -> None:
    host = make_host(kind)
    host.write(0, 7)
    host.events()
    host.mm.madvise_pageout(*host.span(0, HUGE))
    host.mm.madvise_cold(*host.span(0, HUGE))
    assert host.events() == []
    assert host.mm.lookup(host.at(0))


def test_collapse_answers(make_host: Make) -> None:
    host = make_host("thp")
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == -EINVAL, "nothing was ever there"
    host.mm.thp_advice(*host.span(0, 2 * HUGE), on=False)
    host.write(0, 7)
    host.write(HUGE, 8)
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == -EINVAL, "MADV_NOHUGEPAGE"
    host.mm.thp_advice(*host.span(0, 2 * HUGE), on=True)
    pfn = host.pin(HUGE)
    assert host.mm.madvise_collapse(*host.span(0, 2 * HUGE)) == -EAGAIN
    assert [host.mm.pt.leaf(host.at(page))[1] for page in (0, HUGE)] == [2, 1]
    host.mm.put_page(pfn)
    assert host.mm.madvise_collapse(*host.span(0, 2 * HUGE)) == 0
    assert host.mm.pt.leaf(host.at(HUGE))[0] & PTE_HUGE
    assert [host.read(0), host.read(HUGE)] == [7, 8]
    assert host.mm.madvise_collapse(*host.span(1, 4)) == -EINVAL, "no whole 2M"
    host.mm.munmap(*host.span(HUGE, HUGE))
    assert host.mm.madvise_collapse(*host.span(0, 2 * HUGE)) == -ENOMEM


@pytest.mark.parametrize("kind", ["shared", "file"])
def test_a_hole_is_zeros(make_host: Make, kind: str) -> None:
    host = make_host(kind)
    for page in range(3):
        host.write(page, 7)
    if kind == "file":
        host.mm.writeback(*host.span(0, 3))
    else:
        host.mm.swap_out(*host.span(1, 1))
    host.events()
    assert host.mm.punch_hole(*host.span(0, 2)) == 0
    assert host.events() == bracket(0, 2)
    assert [host.read(page) for page in range(3)] == [0, 0, 7]


def test_poison_outlives_a_hole_where_it_is_mapped(make_host: Make) -> None:
    host = make_host("shared")
    host.write(0, 7)
    host.mm.hwpoison(*host.span(0, 1))
    host.mm.punch_hole(*host.span(0, 1))
    assert host.mm.host_read(host.at(0)) is None
    host.mm.madvise_dontneed(*host.span(0, 1))
    assert host.read(0) == 0


def test_a_hole_in_hugetlb_is_of_whole_pages(make_host: Make) -> None:
    host = make_host("hugetlb2m")
    host.write(0, 7)
    host.write(HUGE, 8)
    host.events()
    assert host.mm.punch_hole(*host.span(1, 2 * HUGE - 1)) == 0
    assert host.events() == bracket(HUGE, HUGE)
    assert [host.read(0), host.read(HUGE)] == [7, 0]


def test_private_memory_has_no_file(make_host: Make) -> None:
    assert make_host("thp").mm.punch_hole(*make_host("thp").span(0, 1)) == -EINVAL


def test_mremap_moves_a_thp_as_a_whole(make_host: Make) -> None:
    host = make_host("thp")
    host.write(1, 7)
    pfn = host.mm.lookup(host.at(1)) >> 12
    host.events()
    assert host.mm.mremap(*host.span(0, HUGE), host.at(2 * HUGE), dontunmap=False) == 0
    assert host.events() == bracket(2 * HUGE, HUGE) + bracket(0, HUGE) * 2
    assert host.mm.lookup(host.at(2 * HUGE + 1)) >> 12 == pfn
    assert host.mm.pt.leaf(host.at(2 * HUGE))[1] == 2
    assert host.mm.host_read(host.at(0)) is None


def test_mremap_with_keep_leaves_empty_memory(make_host: Make) -> None:
    host = make_host("4k")
    host.write(0, 7)
    host.write(5, 8)
    assert host.mm.mremap(*host.span(0, 2), host.at(5), dontunmap=True) == 0
    assert [host.read(page) for page in (0, 5, 6)] == [0, 7, 0]


def test_mremap_splits_a_thp_that_does_not_fit(make_host: Make) -> None:
    host = make_host("thp")
    host.write(3, 7)
    host.events()
    assert host.mm.mremap(*host.span(0, HUGE), host.at(2 * HUGE + 8), dontunmap=True) == 0
    start, end = bracket(0, HUGE)
    assert host.events()[-4:] == [start, start, end, end], "the split is inside the bracket"
    assert host.read(2 * HUGE + 11) == 7


def test_mremap_refuses_what_the_kernel_refuses(make_host: Make) -> None:
    host = make_host("4k")
    host.write(8, 7)
    assert host.mm.mremap(*host.span(0, 2), host.at(1), dontunmap=False) == -EINVAL, "overlap"
    host.mm.munmap(*host.span(1, 1))
    assert host.mm.mremap(*host.span(0, 2), host.at(8), dontunmap=False) == -EFAULT, "a hole"
    assert host.mm.host_read(host.at(8)) is None, "the new place is unmapped first"
    assert host.mm.mremap(*host.span(1, 1), host.at(0), dontunmap=False) == -EFAULT


def test_mremap_breaks_ksm(make_host: Make) -> None:
    host = make_host("4k")
    host.write(0, 7)
    host.write(1, 7)
    assert host.mm.ksm_merge(host.at(0), host.at(1))
    shared = host.mm.lookup(host.at(1)) >> 12
    host.mm.mremap(*host.span(0, 1), host.at(4), dontunmap=False)
    assert host.mm.lookup(host.at(4)) >> 12 != shared
    assert [host.read(4), host.read(1)] == [7, 7]


def test_device_memory_moves_with_its_pfns(make_host: Make) -> None:
    host = make_host("pfnmap")
    host.write(0, 7)
    pfn = host.mm.lookup(host.at(0)) >> 12
    assert host.mm.mremap(*host.span(0, 1), host.at(4), dontunmap=True) == -EINVAL
    host.write(0, 7)
    assert host.mm.mremap(*host.span(0, 1), host.at(4), dontunmap=False) == 0
    assert host.mm.lookup(host.at(4)) >> 12 == pfn
    host.mm.madvise_dontneed(*host.span(4, 1))
    assert host.read(4) == 7
    assert not host.mm.frames.is_free(pfn)
    host.mm.munmap(*host.span(4, 1))
    assert host.mm.frames.is_free(pfn)


def test_a_thp_of_which_a_part_moved_is_split_at_both_places(make_host: Make) -> None:
    host = make_host("thp")
    for page in (0, 5, 511):
        host.write(page, page + 1)
    host.mm.mremap(*host.span(511, 1), host.at(HUGE), dontunmap=False)
    host.mm.mremap(*host.span(5, 1), host.at(3), dontunmap=False)
    host.mm.madvise_cold(*host.span(3, 1))
    run = host.mm.frames.run(host.pfn(0))
    assert run is not None
    assert run.split
    assert [host.read(page) for page in (0, 3, HUGE)] == [1, 6, 512]
