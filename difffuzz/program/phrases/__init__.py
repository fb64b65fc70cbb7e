# SPDX-License-Identifier: GPL-2.0-only
"""Phrases: short runs of operations that belong together, as a person would write them.

A random operation rarely does anything without the ones that prepare it: a fault is parked so that
something happens before it goes on, a dirty log is read because something was written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ..model import Op
from ..op_maker import OpMaker
from ..ops import Kind
from . import pages, roots, slots

__all__ = ["PHRASES", "THEMES", "Phrase"]


class Phrase(NamedTuple):
    """A way to make a few operations of a maker."""

    make: Callable[[OpMaker, Sequence[Kind]], list[Op]]
    """From the maker and the kinds that the program prefers."""
    needs: frozenset[Kind]
    """The kinds that must all be in a program's selection for it."""
    weight: int
    """How often it is made, of all phrases."""
    theme: int
    """How often a whole program is about it, of all that have a theme."""
    machine: tuple[tuple[str, int | bool | str], ...] = ()
    """Choices of the configuration under which it does more."""
    layouts: tuple[tuple[int, int, int], ...] = ()
    """Slots (gfn, pages, page of the area) with which it does more."""

    def ops(self, maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
        """Makes it, and notes in the maker that it was made."""
        maker.used.append(self.make.__name__)
        return self.make(maker, kinds)


def _kinds(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


PHRASES: Final = (
    Phrase(pages.single, _kinds(), 40, 0),
    Phrase(pages.access_twice, _kinds(), 15, 1),
    Phrase(pages.parked, _kinds(Kind.BEGIN_FAULT), 15, 3),
    Phrase(pages.prefaulted, _kinds(Kind.PREFAULT), 5, 2),
    Phrase(pages.overtaken, _kinds(Kind.BEGIN_FAULT), 4, 3, (("vcpus", 2),)),
    Phrase(pages.taken_back, _kinds(), 6, 3, (("range_flush", True),)),
    Phrase(pages.huge_page, _kinds(Kind.THP_COLLAPSE), 6, 2),
    Phrase(pages.execute_huge, _kinds(Kind.NX_RECOVER), 6, 4, (("nx", True),)),
    Phrase(pages.by_turns, _kinds(), 3, 2, (("nx", True),)),
    Phrase(pages.aged, _kinds(Kind.AGE), 4, 2, (("ad", False),)),
    Phrase(pages.reclaimed, _kinds(Kind.SWAP_OUT), 4, 2, (("ad", False),)),
    Phrase(pages.over_table, _kinds(Kind.TRACK_ADD), 3, 2),
    Phrase(roots.other_root, _kinds(Kind.SMM), 4, 2),
    Phrase(roots.two_roots, _kinds(Kind.GUEST_MODE), 6, 4, (("dirty_mode", "pml"),)),
    Phrase(roots.several_states, _kinds(Kind.GUEST_MODE), 6, 3, (("vcpus", 2), ("ad", False))),
    Phrase(roots.last_user, _kinds(Kind.GUEST_MODE, Kind.RELOAD), 5, 2),
    Phrase(pages.crowd, _kinds(Kind.MMU_PAGES), 2, 2, (("vcpus", 3), ("mmu_pages", 10))),
    Phrase(
        slots.dirty_log,
        _kinds(Kind.MEMSLOT_FLAGS, Kind.DIRTY_GET),
        10,
        6,
        (("ad", False), ("init_set", True), ("range_flush", True), ("dirty_mode", "pml")),
        # Words of the log end just inside a 2M page.
        ((0x1C1, 0x43F, 0x1C1), (0x1, 0x7FF, 0x1)),
    ),
    Phrase(slots.replace_slot, _kinds(Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE), 6, 2),
    Phrase(slots.tracked, _kinds(Kind.TRACK_ADD), 4, 2, (("ad", False),)),
    Phrase(slots.fill_hole, _kinds(Kind.MEMSLOT_CREATE), 4, 3),
    Phrase(slots.slot_updates, _kinds(Kind.MEMSLOT_CREATE), 3, 3, (("gen_bias", 1),)),
)
THEMES: Final = tuple(phrase for phrase in PHRASES for _ in range(phrase.theme))
"""What a whole program can be about, as often as it should be."""
