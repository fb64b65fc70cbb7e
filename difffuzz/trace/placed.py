# SPDX-License-Identifier: GPL-2.0-only
"""Where a traced VM's memory is in a program: its slots, given or guessed, in areas of the host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from difffuzz.errors import UsageError
from difffuzz.program import SlotSpec
from difffuzz.program.limits import AREA_PAGES, LOW_GFNS, MAX_SLOTS

from .events import Changed, PageFault, Requested, SpteSet, Unmap
from .layout import pages, present
from .reading import Trace
from .slots import TracedSlot

_2M: Final = pages(2)
_1G: Final = pages(3)
NEAR: Final = 16 * _2M
"""Pages between two gfns that are guessed to be of one slot."""
KINDS: Final = ("thp", "4k", "hugetlb1g")
"""Areas of the programs."""


class Placed(NamedTuple):
    """A slot of the trace and what it is in the program."""

    traced: TracedSlot
    gfn: int
    area: int
    page: int

    @property
    def spec(self) -> SlotSpec:
        """Of a program; its id has to be put in."""
        return SlotSpec(0, 0, self.gfn, self.traced.npages, self.area, self.page)


class Placement(NamedTuple):
    """All slots.  `notes`: what was guessed or had to be moved, a sentence each."""

    slots: list[Placed]
    notes: list[str]

    def gfn_of(self, gfn: int) -> int | None:
        """The program's gfn of a traced one; None: no slot is there, and it is out of reach."""
        for one in self.slots:
            if 0 <= gfn - one.traced.gfn < one.traced.npages:
                return one.gfn + gfn - one.traced.gfn
        if gfn >= LOW_GFNS:
            return None
        taken = any(0 <= gfn - one.gfn < one.traced.npages for one in self.slots)
        return None if taken else gfn

    def ranges(self, start: int, end: int) -> list[tuple[Placed, int, int]]:
        """(slot, first page of its area, pages) of what [start, end) in bytes has of slots."""
        found = []
        for one in self.slots:
            low, high = one.traced.gfns_of(start, end)
            if low < high:
                found.append((one, one.page + low - one.traced.gfn, high - low))
        return found


def place(trace: Trace, given: list[TracedSlot], told: list[TracedSlot]) -> Placement:
    """Puts the slots into a program: those given, else those that the trace tells, else guesses.

    UsageError: there are none, or they are more than a program holds.
    """
    notes: list[str] = []
    known = given or _used(trace, told, notes)
    slots = [_reached(trace, slot, notes) for slot in known] or guess_slots(trace, notes)
    if not slots:
        raise UsageError(f"{trace.path}: no fault maps memory, and no --slot says where any is")
    if len(slots) > MAX_SLOTS:
        raise UsageError(f"{len(slots)} slots: a program has at most {MAX_SLOTS}")
    levels = _levels(trace)
    gfns = _gfns(slots)
    next_page = dict.fromkeys(KINDS, 0)
    placed = []
    for slot, gfn in zip(slots, gfns, strict=True):
        kind = _kind(slot, levels)
        align = _1G if kind == "hugetlb1g" else _2M
        like = slot.gfn if slot.hva is None else slot.hva >> 12
        page = next_page[kind] + (like - next_page[kind]) % align
        if page + slot.npages > AREA_PAGES:
            raise UsageError(
                f"--slot {slot.text}: programs have {AREA_PAGES:#x} pages of each kind of memory"
            )
        next_page[kind] = page + slot.npages
        placed.append(Placed(slot, gfn, KINDS.index(kind), page))
        if gfn != slot.gfn:
            notes.append(f"gfn {slot.gfn:#x} of the trace is gfn {gfn:#x} of the program")
    return Placement(placed, notes)


def _used(trace: Trace, told: list[TracedSlot], notes: list[str]) -> list[TracedSlot]:
    """All, or those that the trace maps most of; small ones that it maps nothing of come and go."""
    uses = Counter(
        slot for gfn, _ in mapped(trace) for slot in told if 0 <= gfn - slot.gfn < slot.npages
    )
    if not uses:
        return []
    unused = [slot for slot in told if slot not in uses and slot.npages <= AREA_PAGES // 2]
    known = [slot for slot, _ in uses.most_common()] + unused
    if len(known) < len(told) or len(known) > MAX_SLOTS:
        notes.append(f"of {len(told)} slots that the trace tells {min(len(known), MAX_SLOTS)} are "
                     "in the programs")  # fmt: skip
    return sorted(known[:MAX_SLOTS])


def guess_slots(trace: Trace, notes: list[str]) -> list[TracedSlot]:
    """Slots around the gfns that SPTEs have mapped, with hvas where zaps tell them."""
    blocks = sorted(
        {(gfn & -max(_2M, pages(level)), max(_2M, pages(level))) for gfn, level in mapped(trace)}
    )
    runs: list[list[int]] = []
    for gfn, size in blocks:
        if runs and gfn <= runs[-1][1] + NEAR:
            runs[-1][1] = max(runs[-1][1], gfn + size)
        else:
            runs.append([gfn, gfn + size])
    while len(runs) > MAX_SLOTS:
        at = min(range(1, len(runs)), key=lambda i: runs[i][0] - runs[i - 1][1])
        runs[at - 1][1] = runs[at][1]
        del runs[at]
    offsets = _offsets(trace)
    slots = []
    for first, end in runs:
        votes = Counter(offset for gfn, offset in offsets if first <= gfn < end)
        hva = first * 4096 + votes.most_common(1)[0][0] if votes else None
        slots.append(TracedSlot(first, end - first, hva if hva is None or hva >= 0 else None))
        notes.append(f"a slot is guessed from gfns: {slots[-1].text}")
    return slots


def mapped(trace: Trace) -> Iterable[tuple[int, int]]:
    """(gfn, level) of all that was mapped or is asked to be."""
    for event in trace.events:
        if isinstance(event, Requested) or (isinstance(event, SpteSet) and present(event.spte)):
            yield event.gfn, event.level


def _offsets(trace: Trace) -> list[tuple[int, int]]:
    """(gfn, hva - gpa) where an invalidation of so many pages zapped one leaf of as many."""
    running: dict[int, Unmap] = {}
    found = []
    for event in trace.events:
        if isinstance(event, Unmap):
            running[event.line.pid] = event
        elif isinstance(event, PageFault):
            running.pop(event.line.pid, None)
        elif isinstance(event, Changed) and event.line.pid in running:
            unmap = running.pop(event.line.pid)
            size = pages(event.level) << 12
            if present(event.old) and not present(event.new) and unmap.end - unmap.start == size:
                found.append((event.gfn, unmap.start - (event.gfn << 12)))
    return found


def _reached(trace: Trace, slot: TracedSlot, notes: list[str]) -> TracedSlot:
    """The part of a slot that a program can hold: what the trace uses of it, if it is large."""
    if slot.npages <= AREA_PAGES // 2 and slot.gfn + slot.npages <= LOW_GFNS:
        return slot
    used = [gfn for gfn, _ in mapped(trace) if 0 <= gfn - slot.gfn < slot.npages]
    if not used and slot.npages <= AREA_PAGES // 2:
        return slot
    if not used:
        raise UsageError(f"--slot {slot.text}: too large, and the trace maps nothing of it")
    first = max(slot.gfn, min(used) & -_1G)
    end = min(slot.gfn + slot.npages, (max(used) | (_1G - 1)) + 1)
    assert slot.hva is not None
    part = TracedSlot(first, end - first, slot.hva + ((first - slot.gfn) << 12))
    if part != slot:
        notes.append(f"of slot {slot.text} the program has what the trace maps: {part.text}")
    return part


def _gfns(slots: list[TracedSlot]) -> list[int]:
    """Their own where that is in reach, else behind the others, aligned alike."""
    gfns = [slot.gfn if slot.gfn + slot.npages <= LOW_GFNS else -1 for slot in slots]
    ends = [gfn + slot.npages for gfn, slot in zip(gfns, slots, strict=True) if gfn >= 0]
    end = max(ends, default=0)
    for number, slot in enumerate(slots):
        if gfns[number] >= 0:
            continue
        align = _1G if slot.npages >= _1G else _2M
        gfns[number] = end + (slot.gfn - end) % align
        end = gfns[number] + slot.npages
        if end > LOW_GFNS:
            raise UsageError(f"--slot {slot.text}: programs have {LOW_GFNS:#x} gfns in all")
    return gfns


def _levels(trace: Trace) -> list[tuple[int, int]]:
    return [(event.gfn, event.level) for event in trace.events if isinstance(event, Requested)] or [
        (event.gfn, event.level) for event in trace.events if isinstance(event, SpteSet)
    ]


def _kind(slot: TracedSlot, levels: list[tuple[int, int]]) -> str:
    """What is behind the slot: the highest level that was asked for says."""
    highest = max((level for gfn, level in levels if 0 <= gfn - slot.gfn < slot.npages), default=2)
    return {1: "4k", 2: "thp"}.get(highest, "hugetlb1g")
