# SPDX-License-Identifier: GPL-2.0-only
"""Passes: areas, slots and address spaces by their plainest names."""

from __future__ import annotations

from ...program import Program
from ...program.fields import AREA, AS_ID, SLOT
from ...program.limits import MAX_SLOTS, N_AREAS, N_AS
from ..proposals import Proposals, renamed, with_config


def plainer_areas(program: Program) -> Proposals:
    """Let what is in an area be in one with a lower number, of its kind or of the other's.

    Pays where the kind of memory makes no difference, or two areas are one.  Costs up to twelve
    proposals.  Keeps pages.
    """
    for high in reversed(range(N_AREAS)):
        for low in range(high):
            moved = renamed(program, AREA, high, low)
            kinds = list(program.config.areas)
            kinds[low] = kinds[high]
            for candidate in (moved, with_config(moved, areas=tuple(kinds))):
                if taken := (yield candidate):
                    program = taken
                    break


def plainer_slots(program: Program) -> Proposals:
    """Let a slot have a lower number, or be in the ordinary address space.

    Pays for programs with few of many slots left.  Costs up to thirty proposals.  Keeps places and
    sizes.
    """
    for kind, count in ((AS_ID, N_AS), (SLOT, MAX_SLOTS)):
        for high in reversed(range(count)):
            for low in range(high):
                if taken := (yield renamed(program, kind, high, low)):
                    program = taken
                    break
