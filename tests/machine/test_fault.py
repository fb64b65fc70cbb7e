# SPDX-License-Identifier: GPL-2.0-only
"""Page faults on host memory: what is mapped, and which notifiers hear of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from difffuzz.facts.errno import EFAULT
from difffuzz.machine.frames import ZERO_PFN
from difffuzz.machine.host import PTE_SPECIAL

from .recorder import HUGE, Host, bracket

Make = Callable[[str], Host]


def test_a_read_maps_the_zero_page_and_a_write_replaces_it(make_host: Make) -> None:
    host = make_host("4k")
    assert host.fault(3, False) == ZERO_PFN
    assert host.mm.lookup(host.at(3)) & PTE_SPECIAL
    assert host.events() == []
    pfn = host.fault(3, True)
    assert pfn != ZERO_PFN
    assert host.writable(3)
    assert host.events() == bracket(3, 1, ("change", 3, pfn))


def test_a_first_write_maps_a_zeroed_page_without_notifiers(make_host: Make) -> None:
    host = make_host("4k")
    host.fault(3, True)
    assert host.writable(3)
    assert host.read(3) == 0
    assert host.events() == []


@pytest.mark.parametrize("write", [False, True])
def test_a_thp_is_mapped_where_the_aligned_range_is_empty(make_host: Make, write: bool) -> None:
    host = make_host("thp")
    pfn = host.fault(HUGE + 5, write)
    assert pfn & 0x1FF == 5
    assert [host.level(page) for page in (HUGE - 1, HUGE, 2 * HUGE - 1, 2 * HUGE)] == [1, 2, 2, 1]
    assert host.pfn(HUGE) == pfn - 5
    assert host.events() == []


def test_no_thp_at_the_edge_of_a_mapping(make_host: Make) -> None:
    host = make_host("thp")
    host.mm.munmap(*host.span(HUGE + 7, 1))
    host.fault(HUGE, True)
    assert host.level(HUGE) == 1


def test_no_thp_over_an_empty_page_table(make_host: Make) -> None:
    host = make_host("thp")
    host.mm.thp_advice(*host.span(0, HUGE), False)
    host.fault(0, True)
    host.mm.thp_advice(*host.span(0, HUGE), True)
    host.mm.madvise_dontneed(*host.span(0, HUGE))
    host.fault(0, True)
    assert host.level(0) == 1


def test_gup_fast_needs_a_present_entry_with_a_struct_page(make_host: Make) -> None:
    host = make_host("4k")
    gup = host.mm.get_user_page_fast_only
    assert gup(host.at(1), False) == -1
    host.fault(1, False)
    assert gup(host.at(1), False) == -1, "zero page"
    pfn = host.fault(1, True)
    assert gup(host.at(1), True) == pfn
    assert host.mm.frames.page_count(pfn) == 2
    host.mm.put_page(pfn)
    host.mm.mprotect(*host.span(1, 1), 1)
    assert gup(host.at(1), True) == -1
    assert gup(host.at(1), False) == pfn
    host.mm.put_page(pfn)


def test_gup_fast_in_a_huge_page_gives_the_small_page(make_host: Make) -> None:
    host = make_host("hugetlb1g")
    pfn = host.fault(0x12345, True)
    assert host.mm.get_user_page_fast_only(host.at(0x12345), True) == pfn
    assert pfn & 0x3FFFF == 0x12345
    host.mm.put_page(pfn)


def test_gup_obeys_the_vma(make_host: Make) -> None:
    host = make_host("4k")
    host.mm.mprotect(*host.span(0, 1), 1)
    assert (host.gup(0, False), host.gup(0, True)) == (0, -EFAULT)
    host.mm.mprotect(*host.span(0, 1), 0)
    assert host.gup(0, False) == -EFAULT
    host.mm.munmap(*host.span(0, 1))
    assert host.gup(0, False) == -EFAULT


def test_shared_memory_keeps_its_pages(make_host: Make) -> None:
    host = make_host("shared")
    pfn = host.fault(9, False)
    assert host.writable(9), "entries are as writable as the mapping"
    host.write(9, 77)
    for drop in (host.mm.madvise_dontneed, host.mm.munmap):
        drop(*host.span(9, 1))
        assert host.pfn(9) == 0
        host.mm.mmap(*host.span(9, 1))
        assert host.fault(9, True) == pfn
        assert host.read(9) == 77


def test_device_memory_has_no_struct_pages(make_host: Make) -> None:
    host = make_host("pfnmap")
    mm, addr = host.mm, host.at(4)
    assert host.gup(4, False) == -EFAULT
    assert mm.follow_pte(addr) == 0
    mm.mmap_lock.down_read()
    assert mm.fixup_user_fault(addr, True) == 0
    mm.mmap_lock.up_read()
    pfn = mm.follow_pte(addr) >> 12
    assert mm.frames.reserved(pfn)
    assert mm.get_user_page_fast_only(addr, False) == -1
    mm.put_page(pfn)
    assert not mm.frames.is_free(pfn)
    mm.mmap(*host.span(4, 1))
    assert mm.frames.is_free(pfn)
    host.write(4, 1)
    assert host.pfn(4) not in (0, pfn)
    assert not mm.frames.is_free(host.pfn(4))


def test_hugetlb_starts_read_only_and_is_reused(make_host: Make) -> None:
    host = make_host("hugetlb2m")
    pfn = host.fault(5, False)
    assert not host.writable(5)
    assert host.fault(5, True) == pfn
    assert (host.writable(0), host.level(0x1FF)) == (True, 2)
    assert host.events() == []
