# SPDX-License-Identifier: GPL-2.0-only
"""Hot places: at the edges, and with the host page that really backs the gfn."""

from __future__ import annotations

from random import Random

from difffuzz.program import Config, Kind, Op, SlotSpec
from difffuzz.program.addresses import aligned, hot_offsets, inside, near, outside, pick
from difffuzz.program.limits import AREA_PAGES, LOW_GFNS
from difffuzz.program.op_maker import OpMaker, place_of

SLOT = SlotSpec(2, 0, 0x1FF, 0x402, 1, 0x3FF)
TINY = SlotSpec(3, 1, 0x80000, 1, 0, 0x7)
CONFIG = Config(slots=(SLOT, TINY))


def test_offsets_are_around_the_edges_of_slot_and_huge_pages() -> None:
    gfns = {SLOT.gfn + offset for offset in hot_offsets(SLOT)}
    assert {0x1FF, 0x200, 0x201, 0x400, 0x600} <= gfns
    assert set(hot_offsets(TINY)) == {0}


def test_places_keep_gfn_and_page_together() -> None:
    rng = Random(1)
    outer = 0
    for _ in range(2000):
        place = near(rng, pick(rng, CONFIG))
        assert 0 <= place.gfn < LOW_GFNS
        assert 0 <= place.page < AREA_PAGES
        if place.slot is None:
            outer += 1
        else:
            assert 0 <= place.gfn - place.slot.gfn < place.slot.npages
            assert place.page - place.slot.page == place.gfn - place.slot.gfn
            assert place.area == place.slot.area
    assert 20 < outer < 300


def test_outside_without_slots() -> None:
    assert outside(Random(1), Config()).slot is None


def test_aligned_goes_to_the_huge_page_of_the_host() -> None:
    assert aligned(inside(SLOT, 0x101), 512) == inside(SLOT, 1)
    assert aligned(inside(SLOT, 0), 512) == inside(SLOT, 0), "its 2M page begins before the slot"


def test_the_place_of_an_operation() -> None:
    assert place_of(Op(Kind.READ, 0, (0x200,)), CONFIG) == inside(SLOT, 1)
    assert place_of(Op(Kind.MIGRATE, 4, (1, 0x400)), CONFIG) == inside(SLOT, 1)
    assert place_of(Op(Kind.RELOAD, 0), CONFIG) is None
    mmio = place_of(Op(Kind.READ, 0, (0xFEE00,)), CONFIG)
    assert mmio is not None
    assert mmio.slot is None


def test_an_operation_at_a_place_names_it() -> None:
    maker = OpMaker(Random(1), CONFIG)
    place = inside(SLOT, 1)
    for kind in (Kind.WRITE, Kind.MIGRATE, Kind.HOST_WRITE, Kind.TRACK_ADD, Kind.BEGIN_FAULT):
        assert place_of(maker.op(kind, place), CONFIG) == place
    assert maker.op(Kind.DIRTY_CLEAR, place).args[:2] == (2, 0)


def test_a_log_is_mostly_cleared_by_whole_words() -> None:
    maker = OpMaker(Random(1), CONFIG)
    ops = [maker.op(Kind.DIRTY_CLEAR, inside(SLOT, 0x101)) for _ in range(200)]
    clears = [op.args[2:] for op in ops]
    taken = [first % 64 == 0 and (n % 64 == 0 or first + n == 0x402) for first, n in clears]
    assert 150 < sum(taken) < 200
