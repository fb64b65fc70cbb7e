# SPDX-License-Identifier: GPL-2.0-only
"""A host with one area and a notifier that writes down every call, in pages of the area."""

from __future__ import annotations

from difffuzz.machine.host import HostMM, area_base, pte_pfn
from difffuzz.sched import Scheduler

BASE = area_base(0)
HUGE = 0x200
GIG = 0x40000

Event = tuple[str, int, int]


class Recorder:
    """A notifier; `events` has ("start"|"end"|"change"|..., first page, last page or pfn)."""

    def __init__(self, mm: HostMM) -> None:
        self.mm = mm
        self.events: list[Event] = []
        self.young = 0

    def note(self, what: str, start: int, end: int) -> None:
        self.events.append((what, (start - BASE) >> 12, (end - BASE) >> 12))

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        assert blockable
        self.mm.sched.might_sleep("invalidate_range_start")
        self.note("start", start, end)

    def invalidate_range_end(self, start: int, end: int) -> None:
        self.mm.sched.might_sleep("invalidate_range_end")
        self.note("end", start, end)

    def change_pte(self, addr: int, pte: int) -> None:
        assert self.mm.lookup(addr) == 0, "the entry is clear while the notifier runs"
        self.events.append(("change", (addr - BASE) >> 12, pte_pfn(pte)))

    def clear_flush_young(self, start: int, end: int) -> int:
        self.note("clear_flush_young", start, end)
        return self.young

    def clear_young(self, start: int, end: int) -> int:
        self.note("clear_young", start, end)
        return self.young

    def test_young(self, addr: int) -> int:
        self.note("test_young", addr, addr)
        return self.young

    def release(self) -> None:
        self.events.append(("release", 0, 0))


class Host:
    """One area of the given kind; everything is in pages of it."""

    def __init__(self, kind: str) -> None:
        self.mm = HostMM(Scheduler(), (kind,))
        self.notifier = Recorder(self.mm)
        self.mm.register(self.notifier)

    def at(self, page: int) -> int:
        """hva of a page."""
        return BASE + (page << 12)

    def span(self, page: int, n: int) -> tuple[int, int]:
        """hva range of n pages."""
        return self.at(page), self.at(page + n)

    def fault(self, page: int, write: bool) -> int:
        """What a guest access does on the host; returns the pfn, whose reference is dropped."""
        npages, pfn = self.mm.get_user_pages_unlocked(self.at(page), write, False)
        assert npages == 1
        self.mm.put_page(pfn)
        return pfn

    def pin(self, page: int) -> int:
        """Like a fault for writing, but the reference is kept."""
        npages, pfn = self.mm.get_user_pages_unlocked(self.at(page), True, False)
        assert npages == 1
        return pfn

    def gup(self, page: int, write: bool) -> int:
        """0 or -errno of get_user_pages()."""
        npages, pfn = self.mm.get_user_pages_unlocked(self.at(page), write, False)
        if npages == 1:
            self.mm.put_page(pfn)
            return 0
        return npages

    def pfn(self, page: int) -> int:
        """The pfn mapped at a page, or 0."""
        return pte_pfn(self.mm.lookup(self.at(page)))

    def writable(self, page: int) -> bool:
        """True if the page is mapped writable."""
        return self.mm.lookup(self.at(page)) & 2 != 0

    def level(self, page: int) -> int:
        """Level of the mapping."""
        return self.mm.mapping_level(self.at(page))

    def write(self, page: int, value: int) -> None:
        """A host write that must succeed."""
        assert self.mm.host_write(self.at(page), value)

    def read(self, page: int) -> int | None:
        """A host read; None for a signal."""
        return self.mm.host_read(self.at(page))

    def events(self) -> list[Event]:
        """The notifier calls since the last call of events()."""
        events = self.notifier.events
        self.notifier.events = []
        return events

    def close(self) -> None:
        """The process exits and nothing may be left."""
        self.mm.destroy()
        assert self.mm.frames.leaked() == []
        assert not self.mm.swap
        assert not self.mm.ksm


def bracket(page: int, n: int, *inside: Event) -> list[Event]:
    """The events of one invalidation of n pages."""
    return [("start", page, page + n), *inside, ("end", page, page + n)]
