# SPDX-License-Identifier: GPL-2.0-only
"""Hot places: the few gfns of a configuration where operations should meet, and their host pages.

A place ties a gfn to the host page behind it, so that a guest access and a host operation that pick
the same place really collide.  Places lie at the edges of slots and at the edges of 4K, 2M and 1G
pages inside them; some lie outside all slots, where an access is MMIO.
"""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from .fields import HOT_PAGES
from .limits import AREA_PAGES, LOW_GFNS, N_AREAS
from .model import Config, SlotSpec

_2M: Final = 512
_1G: Final = 512 * 512
_OUTSIDE: Final = 0.06
"""How often a place is outside all slots."""
_STEPS: Final = (0, 0, 0, 1, -1, 1, 8, 0x40, _2M, -_2M)


class Place(NamedTuple):
    """A gfn of an address space and the page of an area behind it, in 4K pages."""

    gfn: int
    as_id: int
    slot: SlotSpec | None
    """None: the gfn is in no slot of the configuration, and the page is any."""
    area: int
    page: int


def hot_offsets(slot: SlotSpec) -> tuple[int, ...]:
    """Page offsets in the slot that lie at an edge: of the slot, of the guest's or host's pages."""
    large = -slot.gfn % _2M
    backing = -slot.page % _2M
    giant = -slot.gfn % _1G
    last = slot.npages - 1
    offsets = (0, 1, large, large - 1, large + 1, last, large + _2M, backing, giant, giant - 1)
    return tuple(offset for offset in offsets if 0 <= offset <= last)


def pick(rng: Random, config: Config) -> Place:
    """A hot place of the configuration."""
    if not config.slots or rng.random() < _OUTSIDE:
        return outside(rng, config)
    slot = rng.choice(config.slots)
    return inside(slot, rng.choice(hot_offsets(slot)))


def inside(slot: SlotSpec, offset: int) -> Place:
    """The place `offset` pages into the slot."""
    return Place(slot.gfn + offset, slot.as_id, slot, slot.area, slot.page + offset)


def outside(rng: Random, config: Config) -> Place:
    """A place in no slot: next to one, or far from all, with some page of some area behind it."""
    candidates = [0xFEE00, LOW_GFNS - 1, 0x7FFFF]
    for slot in config.slots:
        candidates += (slot.gfn - 1, slot.gfn + slot.npages)
    gfn = rng.choice(candidates) % LOW_GFNS
    for slot in config.slots:
        if slot.gfn <= gfn < slot.gfn + slot.npages:
            return inside(slot, gfn - slot.gfn)
    return Place(gfn, 0, None, rng.randrange(N_AREAS), rng.choice(HOT_PAGES))


def near(rng: Random, place: Place) -> Place:
    """The place or a neighbour of it, in the same slot."""
    step = rng.choice(_STEPS)
    slot = place.slot
    if slot is None:
        page = (place.page + step) % AREA_PAGES
        return place._replace(page=page)
    return inside(slot, (place.gfn - slot.gfn + step) % slot.npages)


def aligned(place: Place, pages: int) -> Place:
    """The place at the start of its naturally aligned block of that many pages, if the slot has it.

    The host's page decides, as what host operations cover is decided by the hva.
    """
    back = place.page % pages
    if place.slot is None or place.page - back < place.slot.page:
        return place
    return inside(place.slot, place.gfn - place.slot.gfn - back)
