# SPDX-License-Identifier: GPL-2.0-only
"""Frames: references, huge pages without 512 objects, reuse that never happens."""

from __future__ import annotations

import pytest

from difffuzz.machine.frames import FREED_DATA, ZERO_PFN, Frames
from difffuzz.sched import KernelSplat

SIZES = (1, 512, 262144)


@pytest.mark.parametrize("size", SIZES)
def test_pages_are_aligned_and_never_come_back(size: int) -> None:
    frames = Frames()
    seen = set()
    for _ in range(4):
        pfn = frames.alloc(size)
        assert pfn % size == 0
        seen.add(pfn)
        if size == 1:
            frames.unmap_page(pfn)
        else:
            frames.unmap_run(pfn)
        assert frames.is_free(pfn + size - 1)
    assert len(seen) == 4
    assert frames.leaked() == []


def test_a_huge_page_may_go_piece_by_piece() -> None:
    frames = Frames()
    head = frames.alloc(512)
    frames.set_data(head + 3, 9)
    frames.get(head + 3)
    for i in range(512):
        frames.unmap_page(head + i)
    assert [frames.is_free(head + i) for i in (2, 3, 4)] == [True, False, True]
    assert frames.data(head + 3) == 9
    assert frames.leaked() == [head + 3]
    frames.put(head + 3)
    assert frames.leaked() == []
    assert frames.data(head + 3) == FREED_DATA


def test_folio_counts_add_up() -> None:
    frames = Frames()
    head = frames.alloc(512)
    frames.get(head + 3)
    assert (frames.folio_count(head, 2), frames.folio_pins(head)) == (2, 1)
    assert (frames.page_count(head), frames.page_count(head + 3)) == (1, 2)
    assert frames.folio_count(head + 3, 1) == 513
    frames.put(head + 3)


def test_misuse_is_a_use_after_free() -> None:
    frames = Frames()
    pfn = frames.alloc()
    with pytest.raises(KernelSplat, match="put_page"):
        frames.put(pfn)
    frames.unmap_page(pfn)
    with pytest.raises(KernelSplat, match="get_page"):
        frames.get(pfn)


def test_reserved_pages_are_never_dirty_and_never_free() -> None:
    frames = Frames()
    device = frames.alloc_device(8)
    for pfn in (ZERO_PFN, device):
        frames.get(pfn)
        frames.put(pfn)
        frames.mark_dirty(pfn)
        frames.mark_accessed(pfn)
        assert frames.reserved(pfn)
        assert not frames.is_free(pfn)
    assert not frames.dirty
    assert not frames.accessed
    frames.put(device)  # nobody counts
    assert not frames.leaked()
    frames.get(ZERO_PFN)
    assert frames.leaked() == [ZERO_PFN], "one that nobody drops is a leak"
    frames.put(ZERO_PFN)
    with pytest.raises(KernelSplat, match="put_page"):
        frames.put(ZERO_PFN)
    frames.set_data(ZERO_PFN, 7)
    assert frames.data(ZERO_PFN) == 0
    frames.retire_device(device, 4)
    assert [frames.is_free(device + i) for i in (0, 3, 4)] == [True, True, False]


def test_a_1g_page_is_cheap() -> None:
    frames = Frames()
    head, copy = frames.alloc(262144), frames.alloc(262144)
    frames.set_data(head + 200000, 5)
    frames.copy_run(head, copy)
    assert frames.data(copy + 200000) == 5
    assert len(frames._data) + len(frames._maps) == 0


@pytest.mark.parametrize("copied", [(), (0,), (3, 511)])
@pytest.mark.parametrize("unmapped", [range(512), range(512, 0, -1), range(100)])
def test_unmapping_pages_together_is_unmapping_each(
    copied: tuple[int, ...], unmapped: range
) -> None:
    together, one_by_one = Frames(), Frames()
    for frames in (together, one_by_one):
        head, single = frames.alloc(512), frames.alloc()
        pfns = [head + page % 512 for page in unmapped if page % 512 not in copied]
        for page in copied:
            frames.set_data(head + page, 7)
            frames.unmap_page(head + page)
        pfns += [single, ZERO_PFN]
        frames.mark_dirty(pfns[0])
        if frames is together:
            frames.unmap_pages(pfns[:-2])
            frames.unmap_pages(pfns[-2:])
        else:
            for pfn in pfns[:-1]:
                frames.unmap_page(pfn)
    assert together.leaked() == one_by_one.leaked()
    assert together.dirty == one_by_one.dirty
    assert [together.is_free(head + page) for page in range(512)] == [
        one_by_one.is_free(head + page) for page in range(512)
    ]


def test_flags_are_those_of_the_folio() -> None:
    frames = Frames()
    head, new = frames.alloc(512), frames.alloc(512)
    frames.mark_dirty(head + 7)
    frames.mark_accessed(head + 8)
    assert (frames.dirty, frames.accessed) == ({head}, {head})
    frames.copy_flags(head, new)
    assert new in frames.dirty
    run = frames.run(head)
    assert run is not None
    frames.split_run(run)
    assert head + 511 in frames.dirty
    frames.dirty.discard(head + 5)
    frames.mark_dirty(head + 7)
    assert frames.folio(head + 5) == head + 5
    assert head + 5 not in frames.dirty
