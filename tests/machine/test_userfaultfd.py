# SPDX-License-Identifier: GPL-2.0-only
"""userfaultfd: what a fault waits for, what the monitor did before, what KVM hears."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from difffuzz.facts.errno import EEXIST, EFAULT, EINVAL, ENOENT
from difffuzz.machine.mmap import isolate
from difffuzz.machine.uffd import (
    CONTINUE,
    COPY,
    MINOR,
    MISSING,
    OFF,
    PROTECT,
    UNPROTECT,
    WP,
    ZERO,
)

from .recorder import HUGE, Host, bracket

Make = Callable[[str], Host]


def ask(host: Host, what: int, page: int, n: int, value: int = 0) -> int:
    """What the monitor asks for."""
    return host.mm.uffd(*host.span(page, n), what, value)


def nowait(host: Host, page: int, write: bool) -> int:
    """get_user_pages() that may not wait: how many pages."""
    npages, pfn = host.mm.get_user_pages_unlocked(host.at(page), write, True)
    if npages == 1:
        host.mm.put_page(pfn)
    return npages


@pytest.mark.parametrize("kind", ["thp", "4k", "shared"])
def test_a_missing_page_is_waited_for(make_host: Make, kind: str) -> None:
    host = make_host(kind)
    assert ask(host, COPY, 0, 1) == -ENOENT, "not registered"
    assert ask(host, MISSING, 0, HUGE) == 0
    assert nowait(host, 0, write=False) == 0
    assert ask(host, COPY, 0, 2, value=7) == 0
    assert nowait(host, 0, write=True) == 1
    assert [host.read(0), host.level(0)] == [7, 1]
    assert ask(host, COPY, 1, 1) == -EEXIST
    assert ask(host, ZERO, 2, 1) == 0
    assert [host.read(2), host.read(3)] == [0, 0], "the monitor answers at once"
    assert host.events() == [], "nothing was mapped there: KVM hears nothing"
    assert ask(host, OFF, 0, HUGE) == 0
    assert nowait(host, 4, write=True) == 1


def test_a_page_that_only_the_cache_has(make_host: Make) -> None:
    host = make_host("shared")
    host.write(0, 7)
    host.write(1, 8)
    host.mm.swap_out(*host.span(1, 1))
    assert ask(host, MINOR, 0, 4) == 0
    host.mm.madvise_dontneed(*host.span(0, 4))
    assert [nowait(host, page, write=False) for page in (0, 1, 2)] == [0, 0, 1]
    assert ask(host, CONTINUE, 0, 2) == 0
    assert [nowait(host, page, write=True) for page in (0, 1)] == [1, 1]
    assert ask(host, CONTINUE, 3, 1) == -EFAULT
    assert [host.read(0), host.read(1)] == [7, 8]
    assert ask(make_host("4k"), MINOR, 0, 4) == -EINVAL


def test_a_write_to_a_protected_page_waits(make_host: Make) -> None:
    host = make_host("4k")
    host.write(0, 7)
    assert ask(host, WP, 0, 4) == 0
    host.events()
    assert ask(host, PROTECT, 0, 1) == 0
    assert host.events() == bracket(0, 1)
    assert not host.writable(0)
    assert nowait(host, 0, write=False) == 1
    assert nowait(host, 0, write=True) == 0
    assert ask(host, UNPROTECT, 0, 1) == 0
    assert nowait(host, 0, write=True) == 1
    assert ask(make_host("shared"), WP, 0, 4) == -EINVAL


def test_protection_outlives_swap_and_goes_with_the_write(make_host: Make) -> None:
    host = make_host("4k")
    host.write(0, 7)
    ask(host, WP, 0, 4)
    ask(host, PROTECT, 0, 4)
    host.mm.swap_out(*host.span(0, 1))
    assert host.read(0) == 7
    assert nowait(host, 0, write=True) == 0
    host.write(0, 8)
    assert nowait(host, 0, write=True) == 1


def test_a_protected_thp_is_let_go_page_by_page(make_host: Make) -> None:
    host = make_host("thp")
    host.write(0, 7)
    ask(host, WP, 0, HUGE)
    ask(host, PROTECT, 0, HUGE)
    assert host.level(0) == 2
    host.write(3, 8)
    assert host.level(0) == 1
    assert [host.writable(page) for page in (2, 3)] == [False, True]
    ask(host, OFF, 0, HUGE)
    assert nowait(host, 2, write=True) == 1


def test_no_huge_page_where_pages_are_the_monitors(make_host: Make) -> None:
    host = make_host("thp")
    ask(host, MISSING, 0, HUGE)
    host.write(0, 7)
    assert host.level(0) == 1
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == -EINVAL
    ask(host, OFF, 0, HUGE)
    assert host.mm.madvise_collapse(*host.span(0, HUGE)) == 0


def test_it_does_not_follow_mremap(make_host: Make) -> None:
    host = make_host("4k")
    host.write(0, 7)
    ask(host, WP, 0, HUGE)
    ask(host, PROTECT, 0, HUGE)
    host.mm.mremap(*host.span(0, HUGE), host.at(2 * HUGE), dontunmap=False)
    assert nowait(host, 2 * HUGE, write=True) == 1
    assert ask(host, UNPROTECT, 2 * HUGE, 1) == -ENOENT


@pytest.mark.parametrize("kind", ["hugetlb2m", "pfnmap", "file"])
def test_other_memory_is_refused(make_host: Make, kind: str) -> None:
    assert ask(make_host(kind), MISSING, 0, HUGE) == -EINVAL


def test_where_nothing_is_mapped(make_host: Make) -> None:
    host = make_host("4k")
    host.mm.munmap(*host.span(4, 4))
    assert host.mm.uffd(*host.span(4, 4), MISSING, 0) == -EINVAL
    assert host.mm.uffd(*host.span(4, 4), COPY, 1) == -ENOENT


def test_only_what_changes_is_merged(make_host: Make) -> None:
    host = make_host("4k")
    start, end = host.span(4, 2)
    vma = host.mm.vmas.find(start)
    assert vma is not None
    isolate(host.mm, vma, start, end).anon_vma = True
    assert len(list(host.mm.vmas)) == 3
    host.mm.mprotect(*host.span(0, 8), 2)
    host.mm.uffd(*host.span(0, 8), OFF, 0)
    assert len(list(host.mm.vmas)) == 3
    host.mm.mprotect(*host.span(4, 2), 1)
    host.mm.mprotect(*host.span(4, 2), 2)
    assert len(list(host.mm.vmas)) == 1
