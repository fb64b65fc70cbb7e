# SPDX-License-Identifier: GPL-2.0-only
"""What the guest's memory map should be: memslots, write tracking, modes, as a program set them.

Kept by whoever judges a side, from the operations alone.
"""

from __future__ import annotations

from difffuzz.facts.errno import EEXIST, EINVAL, ENOENT
from difffuzz.program import Config, Kind, Op
from difffuzz.program.limits import area_base
from difffuzz.program.model import DIRTY_LOG, READONLY
from difffuzz.program.normalise import memslots_end
from difffuzz.program.ops import IS_HOST

MIN_MMU_PAGES = 8
EXEC = Kind.EXEC


class Slot:
    """A memslot as user space made it: gfns and pages, `base_hva` in bytes."""

    __slots__ = ("as_id", "base_hva", "end", "flags", "gfn", "npages", "slot", "tracked")

    def __init__(
        self, slot: int, as_id: int, gfn: int, npages: int, base_hva: int, flags: int
    ) -> None:
        self.slot = slot
        self.as_id = as_id
        self.gfn = gfn
        self.npages = npages
        self.end = gfn + npages
        self.base_hva = base_hva
        self.flags = flags
        self.tracked: dict[int, int] = {}

    def hva(self, gfn: int) -> int:
        """The hva (bytes) behind `gfn`."""
        return self.base_hva + ((gfn - self.gfn) << 12)

    def gfns_of(self, start: int, end: int) -> tuple[int, int]:
        """The gfns (from, up to) behind which hvas of [start, end) are, which the slot overlaps."""
        first = max(start - self.base_hva, 0) >> 12
        last = (min(end - self.base_hva, self.npages << 12) + 4095) >> 12
        return self.gfn + first, self.gfn + last

    @property
    def dirty_log(self) -> bool:
        """True if dirty pages are logged."""
        return bool(self.flags & DIRTY_LOG)


class MemoryMap:
    """The memslots of both address spaces, who is in which, and what is write-tracked."""

    __slots__ = ("_by_space", "_end", "guest_mode", "nx", "slots", "smm", "vcpus")

    def __init__(self, config: Config) -> None:
        self.slots: dict[tuple[int, int], Slot] = {}
        self._by_space: tuple[list[Slot], list[Slot]] = ([], [])
        self._end = memslots_end(config)
        self.vcpus = config.vcpus
        self.smm = [0, 0, 0, 0]
        self.guest_mode = [0, 0, 0, 0]
        self.nx = config.nx
        for spec in config.slots:
            self._create(
                spec.slot,
                spec.as_id,
                spec.gfn,
                spec.npages,
                area_base(spec.area) + (spec.page << 12),
                spec.flags,
            )

    def copy(self) -> MemoryMap:
        """A map that changes on its own."""
        new = MemoryMap.__new__(MemoryMap)
        new.vcpus, new.nx, new._end = self.vcpus, self.nx, self._end
        new.smm, new.guest_mode = list(self.smm), list(self.guest_mode)
        new.slots, new._by_space = {}, ([], [])
        for key, old in self.slots.items():
            slot = Slot(old.slot, old.as_id, old.gfn, old.npages, old.base_hva, old.flags)
            slot.tracked = dict(old.tracked)
            new.slots[key] = slot
            new._by_space[slot.as_id].append(slot)
        return new

    def slot_at(self, as_id: int, gfn: int) -> Slot | None:
        """The memslot that holds `gfn`."""
        for slot in self._by_space[as_id]:
            if slot.gfn <= gfn < slot.end:
                return slot
        return None

    def slots_over(self, start: int, end: int) -> list[Slot]:
        """The memslots behind which the hvas [start, end) are."""
        return [
            slot
            for slot in self.slots.values()
            if slot.base_hva < end and start < slot.base_hva + (slot.npages << 12)
        ]

    def tracked(self, as_id: int, gfn: int) -> bool:
        """True if guest writes to `gfn` are tracked, through either address space."""
        slot = self.slot_at(as_id, gfn)
        if slot is not None and gfn in slot.tracked:
            return True
        slot = self.slot_at(as_id ^ 1, gfn)
        return slot is not None and gfn in slot.tracked

    def apply(self, op: Op, value: int | None) -> int:
        """Notes an operation; returns what it should return.  `value`: what it did, if known."""
        kind, thread, args = op
        if kind <= EXEC or IS_HOST[kind]:
            return 0
        if kind == Kind.MEMSLOT_CREATE:
            slot, as_id, gfn, n, area, page, flags = args
            return self._set(slot, as_id, gfn, n, area_base(area) + (page << 12), flags)
        if kind == Kind.MEMSLOT_DELETE:
            old = self.slots.pop((args[1], args[0]), None)
            if old is None:
                return -EINVAL
            self._by_space[old.as_id].remove(old)
        elif kind == Kind.MEMSLOT_MOVE:
            old = self.slots.get((args[1], args[0]))
            if old is not None:
                return self._set(old.slot, old.as_id, args[2], old.npages, old.base_hva, old.flags)
        elif kind == Kind.MEMSLOT_FLAGS:
            old = self.slots.get((args[1], args[0]))
            if old is not None:
                return self._set(old.slot, old.as_id, old.gfn, old.npages, old.base_hva, args[2])
        elif kind == Kind.TRACK_ADD:
            return self._track(args[0], args[1], 1)
        elif kind == Kind.TRACK_REMOVE:
            return self._track(args[0], args[1], -1)
        elif kind == Kind.SMM:
            self.smm[thread] = args[0]
        elif kind == Kind.GUEST_MODE:
            self.guest_mode[thread] = args[0]
        elif kind == Kind.NX:
            self.nx = bool(args[0])
        elif kind == Kind.VCPU_CREATE:
            self.vcpus = min(self.vcpus + 1, 4)
        elif kind == Kind.DIRTY_GET:
            slot_now = self.slots.get((args[1], args[0]))
            return 0 if slot_now is not None and slot_now.dirty_log else -ENOENT
        elif kind == Kind.DIRTY_CLEAR:
            return self._clear(*args)
        elif kind == Kind.MMU_PAGES:
            return 0 if args[0] >= MIN_MMU_PAGES else -EINVAL
        return 0

    def _set(self, slot: int, as_id: int, gfn: int, npages: int, hva: int, flags: int) -> int:
        old = self.slots.get((as_id, slot))
        if old is not None:
            if hva != old.base_hva or npages != old.npages or (flags ^ old.flags) & READONLY:
                return -EINVAL
            if gfn == old.gfn:
                old.flags = flags
                return 0
        for other in self._by_space[as_id]:
            if other is not old and other.gfn < gfn + npages and gfn < other.end:
                return -EEXIST
        if gfn + npages > self._end:
            return -EINVAL  # beyond kvm_mmu_max_gfn()
        if old is not None:
            self._by_space[as_id].remove(old)
        self._create(slot, as_id, gfn, npages, hva, flags)
        return 0

    def _create(self, slot: int, as_id: int, gfn: int, npages: int, hva: int, flags: int) -> None:
        new = Slot(slot, as_id, gfn, npages, hva, flags)
        self.slots[as_id, slot] = new
        self._by_space[as_id].append(new)

    def _track(self, as_id: int, gfn: int, count: int) -> int:
        slot = self.slot_at(as_id, gfn)
        if slot is None or (count < 0 and gfn not in slot.tracked):
            return 0
        value = slot.tracked.get(gfn, 0) + count
        if value:
            slot.tracked[gfn] = value
        else:
            del slot.tracked[gfn]
        return 1

    def _clear(self, slot: int, as_id: int, first: int, n: int) -> int:
        if first & 63:
            return -EINVAL
        old = self.slots.get((as_id, slot))
        if old is None or not old.dirty_log:
            return -ENOENT
        rest = old.npages - first
        if rest < 0 or n > rest or (n < rest and n & 63):
            return -EINVAL
        return 0
