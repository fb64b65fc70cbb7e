# SPDX-License-Identifier: GPL-2.0-only
"""The history of the memory map in a concurrent run.

Each operation that changes the map makes a new version of it.  While such an operation runs, an
access may see the old version or the new one; the next access may see the other.  So a version may
be in force from the begin of the operation that makes it to the end of the operation that replaces
it.  Times are steps of the scheduler.
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
"""The operations that change the map.  Memslots are changed by one thread alone; tracking and the
NX mitigation may change beside that, on the other."""
REPLACES = (Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE)
TRACKS = (Kind.TRACK_ADD, Kind.TRACK_REMOVE)


class Version:
    """One map, possibly in force in [begin, end].  `made`: changes that are open and in it, with
    what each should have returned."""

    __slots__ = ("begin", "between", "end", "made", "map")

    def __init__(self, begin: int, memory: MemoryMap, made: dict[int, int], between: int) -> None:
        self.begin = begin
        self.end = NEVER
        self.map = memory
        self.made = made
        self.between = between
        """The thread whose move is halfway in it; -1 for none."""


class Versions:
    """The maps of a run, the newest last.

    `unclear`: two changes overlapped, and which of them was first is not known, though it matters.
    """

    __slots__ = ("_all", "_had", "_open", "_raced", "unclear")

    def __init__(self, config: Config) -> None:
        self._all = [Version(0, MemoryMap(config), {}, -1)]
        self._open: dict[int, Op] = {}
        self._raced: dict[int, list[Op]] = {}
        """By thread: what overlapped its open change."""
        self._had: dict[int, bool] = {}
        """By thread: did a slot hold the gfn when it began to change how that is tracked?"""
        self.unclear = False

    @property
    def newest(self) -> MemoryMap:
        """The map that is in force once nothing is going on."""
        return self._all[-1].map

    def begin(self, op: Op, now: int) -> None:
        """A change begins: from now on each map may be in force with it or without it.

        A slot that moves is nowhere for a while: the emulator sees MMIO.
        """
        thread = op.thread
        self._raced[thread] = list(self._open.values())
        for other in self._open:
            self._raced[other].append(op)
        self._open[thread] = op
        if op.kind in TRACKS:
            oldest = next(one for one in self._all if one.end == NEVER)
            self._had[thread] = oldest.map.slot_at(*op.args) is not None
        # The last one made is of the newest: with all changes in it.
        for version in [one for one in self._all if one.end == NEVER]:
            before = version.map
            memory = before.copy()
            returned = memory.apply(op, None)
            if op.kind == Kind.MEMSLOT_MOVE and returned >= 0:
                between = before.copy()
                between.apply(Op(Kind.MEMSLOT_DELETE, thread, op.args[:2]), None)
                self._all.append(Version(now, between, dict(version.made), thread))
            made = {**version.made, thread: returned}
            self._all.append(Version(now, memory, made, version.between))

    def finish(self, op: Op, value: int | None, now: int) -> None:
        """The change is over, and returned `value`: maps without it are past."""
        thread = op.thread
        del self._open[thread]
        raced = self._raced.pop(thread)
        for version in self._all:
            if version.end != NEVER:
                continue
            if thread not in version.made or version.between == thread:
                version.end = now
                continue
            returned = version.made.pop(thread)
            if raced and op.kind in TRACKS and value != returned:
                _correct(version.map, op, value)
        if op.kind in TRACKS:
            if not _found_which(self.newest, op, value, self._had[thread], raced):
                self.unclear = True
        elif any(one.kind == op.kind == Kind.NX and one.args != op.args for one in raced):
            self.unclear = True

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


def _correct(memory: MemoryMap, op: Op, value: int | None) -> None:
    """Tracking found the slot, or a count, other than in the order in which the changes began.

    A count may be below 0 until the other change is over.
    """
    slot = memory.slot_at(*op.args)
    if slot is None:
        return
    gfn = op.args[1]
    count = slot.tracked.pop(gfn, 0) + (1 if (op.kind == Kind.TRACK_ADD) == bool(value) else -1)
    if count:
        slot.tracked[gfn] = count


def _found_which(memory: MemoryMap, op: Op, value: int | None, had: bool, raced: list[Op]) -> bool:
    """Is it told which slot's counts tracking changed?

    A slot that moves, or that goes and comes again, takes no counts along.  `had`: a slot held the
    gfn when tracking began.
    """
    slot = memory.slot_at(*op.args)
    if not value or slot is None:
        return True
    key = slot.slot, slot.as_id
    return sum(one.kind in REPLACES and one.args[:2] == key for one in raced) < (1 if had else 2)
