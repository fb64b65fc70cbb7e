# SPDX-License-Identifier: GPL-2.0-only
"""The dirty-log oracle: every write since the last get or clear is in the bitmap.

It is told of accesses with all the slots that may have held their page while they went on, and
with the step at which they are over; of changes of the log with the step at which they began. In
lockstep nothing overlaps: there is one such slot, and every access is over before what comes next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config
from difffuzz.sides.memory_map import MemoryMap, Slot

DIRTY_LOG = """Every guest write since the last get or clear is in the bitmap; a page that was not
touched since is not."""

Key = tuple[int, int]
"""Address space and id of a slot."""
Bitmap = dict[int, int]
"""Number of a 64-bit word of a slot's dirty bitmap -> the word."""


class DirtyLog:
    """What the bitmap of each slot must hold, and what it may hold, of one side."""

    __slots__ = ("_invents", "_name", "_owed", "_touched")

    def __init__(self, name: str, config: Config) -> None:
        self._name = name
        self._invents = not config.init_set
        """Does a bit of a page that nobody touched mean anything?  Else all bits begin as 1."""
        self._owed: dict[Key, dict[int, int]] = {}
        """Pages relative to the slot, and the step of the first write that is owed."""
        self._touched: dict[Key, dict[int, int]] = {}
        """The same, and the step of the last access that may have mapped it writable."""

    def touched(self, slots: Iterable[Slot | None], gfn: int, now: int) -> None:
        """An access to `gfn` that is over, or goes on still; `slots` may have held it meanwhile."""
        for slot in slots:
            if slot is not None and slot.dirty_log:
                pages = self._touched.setdefault((slot.as_id, slot.slot), {})
                pages[gfn - slot.gfn] = now

    def touched_range(
        self, maps: Iterable[MemoryMap], as_id: int, start: int, end: int, now: int
    ) -> None:
        """The same of every gfn of [start, end), each of which a prefault may have mapped."""
        for memory in maps:
            for slot in memory.slots.values():
                if slot.as_id == as_id and slot.dirty_log:
                    pages = self._touched.setdefault((as_id, slot.slot), {})
                    first, last = max(start, slot.gfn), min(end, slot.end)
                    pages.update((page, now) for page in range(first - slot.gfn, last - slot.gfn))

    def written(self, slot: Slot, ways: Iterable[Slot | None], gfn: int, now: int) -> None:
        """The guest writes a page of the slot now: owed if the slot logs in each of the ways in
        which it may be in force."""
        if all(one is not None and one.dirty_log for one in ways):
            self._owed.setdefault((slot.as_id, slot.slot), {}).setdefault(gfn - slot.gfn, now)

    def gone(self, key: Key, since: int) -> None:
        """What began at `since` took the slot's bitmap away."""
        self._owed.pop(key, None)
        self._forget_touched(key, lambda page: True, since)

    def moved(self, key: Key, before: int) -> None:
        """The slot kept its bitmap; what was written since that step may be logged where it was."""
        self._keep(self._owed, key, lambda page, step: step < before)

    def cleared(self, key: Key, first: int, n: int, since: int) -> None:
        """What began at `since` cleared the bits of n pages: writes up to now are not owed."""
        self._reset(key, range(first, first + n).__contains__, since)

    def reported(self, key: Key, bitmap: Bitmap, since: int) -> None:
        """What began at `since` returned these bits, and cleared them."""
        self._reset(key, lambda page: bool(bitmap.get(page >> 6, 0) >> (page & 63) & 1), since)

    def violations(
        self, key: Key, bitmap: Bitmap, allowed: Counter[str] | None = None
    ) -> Iterator[Violation]:
        """Judges a bitmap, with nothing going on."""
        for page in sorted(self._owed.get(key, ())):
            if not bitmap.get(page >> 6, 0) >> (page & 63) & 1:
                yield self._violation("lost", key, page, "written, not in the log")
                return
        yield from self.untouched(key, bitmap, allowed)

    def untouched(
        self, key: Key, bitmap: Bitmap, allowed: Counter[str] | None = None
    ) -> Iterator[Violation]:
        """A page in the log that nobody touched since it was cleared, as prefetching over a slot
        that logs would put there."""
        if not self._invents:
            return
        owed, touched = self._owed.get(key, {}), self._touched.get(key, {})
        for word, mask in bitmap.items():
            while mask:
                low = mask & -mask
                mask ^= low
                page = (word << 6) + low.bit_length() - 1
                if page in owed:
                    continue
                if page not in touched:
                    yield self._violation("untouched", key, page, "in the log, never touched")
                    return
                if allowed is not None:
                    # make_spte() marks a page dirty when it maps it writable, whatever the access.
                    allowed["dirty-when-mapped"] += 1

    def _reset(self, key: Key, gone: Callable[[int], bool], since: int) -> None:
        self._keep(self._owed, key, lambda page, step: not gone(page))
        self._forget_touched(key, gone, since)

    def _forget_touched(self, key: Key, gone: Callable[[int], bool], since: int) -> None:
        """An access that was not over by then may set the bit after it was cleared."""
        self._keep(self._touched, key, lambda page, step: step >= since or not gone(page))

    def _keep(
        self, all_pages: dict[Key, dict[int, int]], key: Key, stays: Callable[[int, int], bool]
    ) -> None:
        pages = all_pages.get(key)
        if pages:
            all_pages[key] = {page: step for page, step in pages.items() if stays(page, step)}

    def _violation(self, location: str, key: Key, page: int, text: str) -> Violation:
        return Violation("dirty-log", self._name, location, f"slot {key[1]} page {page:#x}: {text}")
