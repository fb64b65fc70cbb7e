# SPDX-License-Identifier: GPL-2.0-only
"""The memory maps that were in force during a concurrent run, and when.

A map may be in force from the moment the operation that makes it begins until the operation that
ends it is over: in between either the old or the new one counts, for each access on its own.
Times are steps of the scheduler.
"""

from __future__ import annotations

from difffuzz.program import Config, Kind, Op
from difffuzz.sides.memory_map import MemoryMap, Slot

NEVER = 1 << 62
MAP_BEGINS = "a map begins"
"""Shared state of the oracles: changes begin, before or after what looks back from its end."""
MAP_ENDS = "a map ends"
"""Shared state of the oracles: changes are over, before or after what counts from its beginning."""
CHANGES = frozenset(
    {
        Kind.MEMSLOT_CREATE,
        Kind.MEMSLOT_DELETE,
        Kind.MEMSLOT_MOVE,
        Kind.MEMSLOT_FLAGS,
        Kind.TRACK_ADD,
        Kind.TRACK_REMOVE,
        Kind.NX,
    }
)
"""The operations that change the map; one thread runs them all, so they never overlap."""


class Version:
    """One map, possibly in force in [begin, end]."""

    __slots__ = ("begin", "end", "map")

    def __init__(self, begin: int, memory: MemoryMap) -> None:
        self.begin = begin
        self.end = NEVER
        self.map = memory


class Versions:
    """The maps of a run, the newest last."""

    __slots__ = ("_all",)

    def __init__(self, config: Config) -> None:
        self._all = [Version(0, MemoryMap(config))]

    @property
    def newest(self) -> MemoryMap:
        """The map that is in force once nothing is going on."""
        return self._all[-1].map

    def begin(self, op: Op, now: int) -> None:
        """A change begins.  A slot that moves is nowhere for a while: the emulator sees MMIO."""
        before = self.newest
        memory = before.copy()
        failed = memory.apply(op, None) < 0
        if op.kind == Kind.MEMSLOT_MOVE and not failed:
            between = before.copy()
            between.apply(Op(Kind.MEMSLOT_DELETE, op.thread, op.args[:2]), None)
            self._all.append(Version(now, between))
        self._all.append(Version(now, memory))

    def finish(self, now: int) -> None:
        """The change is over."""
        for version in self._all[:-1]:
            version.end = min(version.end, now)

    def settle(self) -> None:
        """Nothing is going on: what was in force before is forgotten."""
        del self._all[:-1]

    def during(self, begin: int, end: int) -> list[MemoryMap]:
        """The maps that may have been in force at some moment of [begin, end]."""
        if len(self._all) == 1:
            return [self._all[0].map]
        return [one.map for one in self._all if one.begin <= end and begin <= one.end]

    def slots(self, begin: int, end: int, as_id: int, gfn: int) -> list[Slot | None]:
        """The slots that may have held `gfn` during [begin, end]."""
        return [memory.slot_at(as_id, gfn) for memory in self.during(begin, end)]
