# SPDX-License-Identifier: GPL-2.0-only
"""What a trace does not tell: memslots, as the user gives them or as gfns and hvas let guess."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final, NamedTuple

from difffuzz.errors import UsageError

_SLOT: Final = re.compile(r"^(0x[0-9a-fA-F]+|\d+),(0x[0-9a-fA-F]+|\d+),(0x[0-9a-fA-F]+|\d+)$")
MAX_GIVEN: Final = 64
"""Slots that a user may name."""


class TracedSlot(NamedTuple):
    """A memslot of the traced VM.  `hva` in bytes; None: not known."""

    gfn: int
    npages: int
    hva: int | None

    def gfns_of(self, start: int, end: int) -> tuple[int, int]:
        """First and end gfn of what [start, end) has of it; the same gfn twice: nothing."""
        if self.hva is None:
            return self.gfn, self.gfn
        first = max(start, self.hva)
        last = min(end, self.hva + (self.npages << 12))
        if first >= last:
            return self.gfn, self.gfn
        return self.gfn + ((first - self.hva) >> 12), self.gfn + ((last - self.hva + 4095) >> 12)

    @property
    def text(self) -> str:
        """As the option has it."""
        hva = "unknown" if self.hva is None else f"{self.hva:#x}"
        return f"{self.gfn:#x},{self.npages:#x},{hva}"


def parse_slots(texts: list[str]) -> list[TracedSlot]:
    """`GFN,PAGES,HVA` of each.  UsageError: it is something else, or two overlap."""
    slots = []
    if len(texts) > MAX_GIVEN:
        raise UsageError(f"--slot: at most {MAX_GIVEN} are taken")
    for text in texts:
        found = _SLOT.match(text)
        if found is None:
            raise UsageError(f"--slot {text}: expected GFN,PAGES,HVA, as 0x0,0x200,0x7f0000000000")
        gfn, npages, hva = (int(word, 0) for word in found.groups())
        if not npages or hva & 0xFFF or gfn + npages > 1 << 40 or hva + (npages << 12) > 1 << 64:
            raise UsageError(f"--slot {text}: no such range of pages")
        slots.append(TracedSlot(gfn, npages, hva))
    slots.sort()
    for one, other in pairwise(slots):
        if one.gfn + one.npages > other.gfn:
            raise UsageError(f"--slot {other.text}: overlaps {one.text}")
    return slots
