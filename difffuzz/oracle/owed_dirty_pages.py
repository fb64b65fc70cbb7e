# SPDX-License-Identifier: GPL-2.0-only
"""The dirty log of a concurrent run: what it owes, and what it may hold.

A write is owed from the moment at which it is made until a get or a clear that ends after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from difffuzz.oracle.verdict import Violation
from difffuzz.oracle.versions import Versions
from difffuzz.program import Config
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import Slot

Key = tuple[int, int]
"""Address space and id of a slot."""


class OwedDirtyPages:
    """Pages of each slot: those written and not reported yet, and all that were ever touched."""

    __slots__ = ("_pending", "_side", "_touched", "_versions")

    def __init__(self, side: KvmSide, versions: Versions) -> None:
        self._side = side
        self._versions = versions
        self._pending: dict[Key, dict[int, int]] = {}
        """By slot: page and the step of the first write that is owed."""
        self._touched: dict[Key, dict[int, int]] = {}

    def touched(self, as_id: int, gfn: int, begin: int, now: int) -> None:
        """An access of [begin, now] may have touched the page, in any slot that held it."""
        for slot in self._versions.slots(begin, now, as_id, gfn):
            if slot is not None:
                words = self._touched.setdefault((slot.as_id, slot.slot), {})
                page = gfn - slot.gfn
                words[page >> 6] = words.get(page >> 6, 0) | 1 << (page & 63)

    def touched_range(self, as_id: int, start: int, end: int, begin: int, now: int) -> None:
        """The same of every gfn of [start, end) in a slot that logs."""
        for memory in self._versions.during(begin, now):
            for slot in memory.slots.values():
                if slot.as_id == as_id and slot.dirty_log:
                    words = self._touched.setdefault((slot.as_id, slot.slot), {})
                    first, last = max(start, slot.gfn), min(end, slot.end)
                    for page in range(first - slot.gfn, last - slot.gfn):
                        words[page >> 6] = words.get(page >> 6, 0) | 1 << (page & 63)

    def written(self, slot: Slot, gfn: int, begin: int, now: int) -> None:
        """The guest writes the page now; owed if the slot logs, whichever map is in force."""
        key = slot.as_id, slot.slot
        slots = [memory.slots.get(key) for memory in self._versions.during(begin, now)]
        if all(one is not None and one.dirty_log for one in slots):
            self._pending.setdefault(key, {}).setdefault(gfn - slot.gfn, now)

    def forget(self, key: Key) -> None:
        """The slot has no bitmap any more."""
        self._pending.pop(key, None)

    def moved(self, key: Key, before: int) -> None:
        """The slot kept its bitmap; what was written since that step may be logged where it was."""
        self._keep(key, lambda page, step: step < before)

    def drop(self, key: Key, gone: Callable[[int], bool]) -> None:
        """These pages were reported or cleared: writes up to now need not be in the log again."""
        self._keep(key, lambda page, step: not gone(page))

    def _keep(self, key: Key, stays: Callable[[int, int], bool]) -> None:
        pending = self._pending.get(key)
        if pending:
            kept = {page: step for page, step in pending.items() if stays(page, step)}
            self._pending[key] = kept

    def untouched(self, key: Key, bitmap: dict[int, int]) -> Iterator[Violation]:
        """A page in the log that nobody ever touched."""
        touched = self._touched.get(key, {})
        for word, mask in bitmap.items():
            extra = mask & ~touched.get(word, 0)
            if extra:
                page = (word << 6) + extra.bit_length() - 1
                text = f"slot {key[1]} page {page:#x}: in the log, never touched"
                yield Violation("dirty-log", self._side.name, "untouched", text)
                return

    def invented(self, config: Config) -> Iterator[Violation]:
        """With nothing going on: a page in a log that nobody ever touched, as prefetching over a
        slot that logs would put there.  No interleaving does: each access counts from its beginning
        on, in every slot that may have held its page."""
        if config.init_set:
            return
        for key, known in self._versions.newest.slots.items():
            slot = self._side.kvm.memslots[key[0]].id_hash.get(key[1])
            if known.dirty_log and slot is not None and slot.dirty_bitmap is not None:
                yield from self.untouched(key, dict(slot.dirty_bitmap))

    def lost(self) -> Iterator[Violation]:
        """With nothing going on: a page that is owed and not in the log."""
        for (as_id, slot_id), pages in self._pending.items():
            slot = self._side.kvm.memslots[as_id].id_hash.get(slot_id)
            if slot is None or slot.dirty_bitmap is None:
                continue
            for page in sorted(pages):
                if not slot.dirty_bitmap.get(page >> 6, 0) >> (page & 63) & 1:
                    text = f"slot {slot_id} page {page:#x}: written, and not in the log"
                    yield Violation("dirty-log", self._side.name, "lost", text)
                    return
