# SPDX-License-Identifier: GPL-2.0-only
"""What a VMM asked of its VM, from a probe on kvm_vm_ioctl(): memslots and dirty logs.

Structures are those of include/uapi/linux/kvm.h: numbers and where their members are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from difffuzz.program import Config, Kind, Op, SlotSpec
from difffuzz.program.limits import VMM_THREAD

from .events import Event, VmIoctl
from .lines import Lost
from .placed import Placed, Placement
from .slots import TracedSlot

SET_REGION: Final = (0x46, 0x49)
"""KVM_SET_USER_MEMORY_REGION, and its successor, which begins with the same members."""
GET_LOG: Final = 0x42
CLEAR_LOG: Final = 0xC0
ENABLE_CAP: Final = 0xA3
MANUAL_PROTECT2: Final = 168
"""KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2."""
_U32: Final = (1 << 32) - 1
_FLAGS: Final = 3
"""KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY."""


class Region(NamedTuple):
    """A memslot is made, changed, or deleted (`slot` is None)."""

    event: VmIoctl
    number: int
    flags: int
    slot: TracedSlot | None


def region_of(event: VmIoctl) -> Region | None:
    """What SET_REGION says of the first address space."""
    if event.number not in SET_REGION or event.size not in (0x20, 0xA0):
        return None
    first, gpa, size, hva = event.words
    number, flags = first & _U32, first >> 32
    if number >> 16 or hva & 0xFFF or gpa & 0xFFF or size & 0xFFF:
        return None
    slot = TracedSlot(gpa >> 12, size >> 12, hva) if size else None
    return Region(event, number, flags & _FLAGS, slot)


def slots_told(events: Iterable[Event | Lost]) -> list[TracedSlot]:
    """Every memslot that was made, once, by their gfns; of those that overlap, the first made."""
    found: list[TracedSlot] = []
    for event in events:
        region = region_of(event) if isinstance(event, VmIoctl) else None
        slot = region.slot if region is not None else None
        if slot is None or slot in found:
            continue
        if all(slot.gfn >= one.gfn + one.npages or one.gfn >= slot.gfn + slot.npages
               for one in found):  # fmt: skip
            found.append(slot)
    return sorted(found)


def protects(events: Iterable[Event | Lost], config: Config) -> Config:
    """With the way in which dirty logs are cleared, as the VMM asked for it."""
    for event in events:
        if not isinstance(event, VmIoctl) or (event.number, event.size) != (ENABLE_CAP, 0x68):
            continue
        if event.words[0] & _U32 == MANUAL_PROTECT2:
            how = event.words[1]
            config = config._replace(manual_protect=bool(how & 1), init_set=how & 3 == 3)
    return config


class Memslots:
    """Which memslots there are at a line of the trace, and the operations that change them.

    Without any ioctl in the trace all are there all the time.
    """

    def __init__(self, placement: Placement, events: Iterable[Event | Lost]) -> None:
        self._placed = placement.slots
        told = any(isinstance(event, VmIoctl) and region_of(event) for event in events)
        self._there: dict[int, int] = {} if told else dict.fromkeys(range(len(self._placed)), 0)
        """Flags by the program's number of those that are there."""
        self._numbers: dict[int, tuple[int, TracedSlot]] = {}
        """By the traced VM's number: the program's, and what it is."""

    @property
    def specs(self) -> tuple[SlotSpec, ...]:
        """Those that a program begins with that is cut here."""
        return tuple(
            self._placed[at].spec._replace(slot=at, flags=flags)
            for at, flags in sorted(self._there.items())
        )

    def another_vm(self, event: VmIoctl) -> bool:
        """A memslot that is there is made again, elsewhere: that is of another VM."""
        region = region_of(event)
        if region is None or region.slot is None or region.number not in self._numbers:
            return False
        before = self._numbers[region.number][1]
        return (before.npages, before.hva) != (region.slot.npages, region.slot.hva)

    def begin_again(self) -> None:
        """Another VM, without memslots."""
        self._there, self._numbers = {}, {}

    def operations(self, event: VmIoctl) -> list[Op]:
        """What the ioctl is in the program; the memslots are as after it."""
        region = region_of(event)
        if region is not None:
            return self._changed(region)
        known = self._numbers.get(event.words[0] & _U32)
        if known is None or known[0] not in self._there:
            return []
        at, slot = known
        if event.number == GET_LOG and event.size == 0x10:
            return [Op(Kind.DIRTY_GET, VMM_THREAD, (at, 0))]
        if event.number == CLEAR_LOG and event.size == 0x18:
            return self._cleared(at, slot, event.words[1], event.words[0] >> 32)
        return []

    def _changed(self, region: Region) -> list[Op]:
        if region.slot is None:
            at, _ = self._numbers.pop(region.number, (-1, None))
            known = self._there.pop(at, None)
            return [] if known is None else [Op(Kind.MEMSLOT_DELETE, VMM_THREAD, (at, 0))]
        found = self._found(region.slot)
        if found is None:
            return []
        self._numbers[region.number] = (found, region.slot)
        before = self._there.get(found)
        self._there[found] = region.flags
        if before is None:
            one = self._placed[found]
            args = (found, 0, one.gfn, one.traced.npages, one.area, one.page, region.flags)
            return [Op(Kind.MEMSLOT_CREATE, VMM_THREAD, args)]
        if before == region.flags:
            return []
        return [Op(Kind.MEMSLOT_FLAGS, VMM_THREAD, (found, 0, region.flags))]

    def _found(self, slot: TracedSlot) -> int | None:
        """The placed slot that is it, or the part of it that a program can hold."""
        for at, one in enumerate(self._placed):
            if _part_of(one, slot):
                return at
        return None

    def _cleared(self, at: int, slot: TracedSlot, first: int, n: int) -> list[Op]:
        offset = self._placed[at].traced.gfn - slot.gfn
        low = max(first - offset, 0)
        end = min(first + n - offset, self._placed[at].traced.npages)
        return [Op(Kind.DIRTY_CLEAR, VMM_THREAD, (at, 0, low, end - low))] if low < end else []


def _part_of(one: Placed, slot: TracedSlot) -> bool:
    part = one.traced
    if part.hva is None or slot.hva is None or not 0 <= part.gfn - slot.gfn < slot.npages:
        return False
    return part.hva - slot.hva == (part.gfn - slot.gfn) << 12
