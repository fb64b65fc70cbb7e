# SPDX-License-Identifier: GPL-2.0-only
"""The dirty-log oracle: every write since the last get or clear is in the bitmap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config
from difffuzz.sides.memory_map import Slot

DIRTY_LOG = """Every guest write since the last get or clear is in the bitmap; a page that was not
touched since is not."""


class WrittenPages:
    """What the bitmap of each slot must hold, and what it may hold: gfns relative to the slot."""

    __slots__ = ("touched", "written")

    def __init__(self) -> None:
        self.written: dict[tuple[int, int], set[int]] = {}
        self.touched: dict[tuple[int, int], set[int]] = {}

    def note(self, slot: Slot | None, gfn: int, write: bool) -> None:
        """A guest access to `gfn`."""
        if slot is None or not slot.dirty_log:
            return
        key = slot.as_id, slot.slot
        self.touched.setdefault(key, set()).add(gfn - slot.gfn)
        if write:
            self.written.setdefault(key, set()).add(gfn - slot.gfn)

    def forget(self, key: tuple[int, int]) -> None:
        """The slot has a new bitmap, or none."""
        self.written.pop(key, None)
        self.touched.pop(key, None)

    def forget_if_off(self, slot: Slot) -> None:
        """Without dirty logging there is no bitmap."""
        if not slot.dirty_log:
            self.forget((slot.as_id, slot.slot))

    def clear(self, key: tuple[int, int], first: int, n: int) -> None:
        """The bits of n pages were cleared."""
        for pages in (self.written.get(key), self.touched.get(key)):
            if pages:
                pages.difference_update([page for page in pages if first <= page < first + n])


def bitmap_violations(
    name: str,
    config: Config,
    pages: WrittenPages,
    slot: Slot,
    bitmap: dict[int, int],
    allowed: Counter[str],
) -> Iterator[Violation]:
    """Compares what KVM_GET_DIRTY_LOG returned with what the guest wrote."""
    key = slot.as_id, slot.slot
    written = pages.written.get(key, set())
    for page in sorted(written):
        if not bitmap.get(page >> 6, 0) >> (page & 63) & 1:
            yield Violation(
                "dirty-log",
                name,
                "lost",
                f"slot {slot.slot} page {page:#x}: written, not in the log",
            )
            return
    if config.init_set:
        return
    touched = pages.touched.get(key, set())
    for word, mask in bitmap.items():
        while mask:
            low = mask & -mask
            mask ^= low
            page = (word << 6) + low.bit_length() - 1
            if page in written:
                continue
            if page in touched:
                # make_spte() marks a page dirty when it maps it writable, whatever the access.
                allowed["dirty-when-mapped"] += 1
            else:
                yield Violation(
                    "dirty-log",
                    name,
                    "untouched",
                    f"slot {slot.slot} page {page:#x}: in the log, never touched",
                )
                return
