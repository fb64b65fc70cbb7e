# SPDX-License-Identifier: GPL-2.0-only
"""Oracles about one leaf: translation, permission, level, and its dirty-log bit.

What a leaf may be is computed from memslots and the host's page table only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from difffuzz.machine.host import PTE_WRITE, HostMM
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config
from difffuzz.program.model import READONLY
from difffuzz.sides.base import Leaf
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import MemoryMap, Slot

TRANSLATION = """A present leaf maps the pfn that the host maps at its gfn's hva, and every guest
access has the same result on both sides; no MMIO SPTE outlives a wrap of the generation, and
no fault that can see the new generation meets one of before; an MMIO SPTE is for the gfn of its
place, for every access, and of the generation in which it was made."""
PERMISSION = """No leaf is writable or executable beyond what memslot, host mapping, write tracking,
dirty logging and the NX mitigation allow."""
LEVEL = """A demand fault maps at the level that memslot, host mapping and dirty logging permit, the
same on both sides; when dirty logging ends, no smaller leaf is left where a larger one fits, and
where it begins, or a log is cleared, eager page splitting leaves no huge leaf."""


def leaf_violations(
    side: KvmSide,
    config: Config,
    memory: MemoryMap,
    as_id: int,
    gfn: int,
    leaf: Leaf,
    new: bool = False,
) -> Iterable[Violation]:
    """What is wrong with one leaf (first gfn `gfn`); at most one violation for each oracle.

    `new`: the leaf was made writable just now, so that tracking in the other address space counts
    too; adding a tracked page protects the leaves of its own address space only.
    """
    level = leaf.level
    npages = 1 << (9 * (level - 1))
    slot = memory.slot_at(as_id, gfn)
    if slot is None or gfn + npages > slot.gfn + slot.npages:
        text = f"gfn {gfn:#x}: a leaf where no memslot is"
        return [Violation("translation", side.name, f"level{level}", text)]
    mm = side.mm
    hva = slot.base_hva + ((gfn - slot.gfn) << 12)
    pte = mm.lookup(hva)
    if not pte or pte >> 12 != leaf.pfn:
        host = f"pfn {pte >> 12:#x}" if pte else "nothing"
        text = f"gfn {gfn:#x} maps pfn {leaf.pfn:#x}, the host has {host} there"
        return [Violation("translation", side.name, f"level{level}", text)]
    if level == 1 and not leaf.writable:
        return ()
    found = []
    if level > 1 and level > mm.mapping_level(hva):
        text = f"gfn {gfn:#x}: larger than the host's own mapping"
        found.append(Violation("level", side.name, f"level{level}", text))
    found += permission_violations(side, config, memory, slot, gfn, npages, leaf, pte, new)
    return found


class Leaves:
    """The leaves of one side against the memory map, with nothing going on."""

    __slots__ = ("_config", "_memory", "_side")

    def __init__(self, side: KvmSide, config: Config, memory: MemoryMap) -> None:
        self._side = side
        self._config = config
        self._memory = memory

    def all(self) -> Iterator[Violation]:
        """What is wrong with any of them."""
        for as_id, gfn, leaf in self._side.tables.all_leaves():
            yield from leaf_violations(self._side, self._config, self._memory, as_id, gfn, leaf)

    def of(self, as_id: int, start: int, end: int) -> Iterator[Violation]:
        """What is wrong with those that map gfns of [start, end)."""
        for gfn, leaf in self._side.tables.leaves_in(as_id, start, end):
            # Below a huge leaf only the pages of the range changed.
            yield from leaf_violations(self._side, self._config, self._memory, as_id, gfn, leaf)
            if leaf.level > 1:
                last = gfn + (1 << (9 * (leaf.level - 1)))
                yield from self._inside(as_id, gfn, leaf, max(gfn, start), min(end, last))

    def where_the_host_changed(self) -> Iterator[Violation]:
        """What is wrong where the host's page table changed; that is forgotten then."""
        changed = self._side.mm.changed
        for start, end in changed:
            for slot in self._memory.slots_over(start, end):
                yield from self.of(slot.as_id, *slot.gfns_of(start, end))
        changed.clear()

    def _inside(
        self, as_id: int, gfn: int, leaf: Leaf, start: int, end: int
    ) -> Iterator[Violation]:
        """The first and the last page of [start, end) below the huge leaf at `gfn`."""
        slot = self._memory.slot_at(as_id, gfn)
        if slot is None:
            return
        for inside in (start, end - 1):
            if self._memory.slot_at(as_id, inside) is not slot:
                continue
            pte = self._side.mm.lookup(slot.hva(inside))
            if not pte or pte >> 12 != leaf.pfn + inside - gfn:
                text = f"gfn {inside:#x}: the huge leaf at {gfn:#x} maps another page"
                yield Violation("translation", self._side.name, "inside-huge", text)


def permission_violations(
    side: KvmSide,
    config: Config,
    memory: MemoryMap,
    slot: Slot,
    gfn: int,
    npages: int,
    leaf: Leaf,
    pte: int,
    new: bool,
) -> Iterator[Violation]:
    """Why the leaf should not be writable or executable."""
    name = side.name
    if leaf.executable and memory.nx and leaf.level > 1:
        yield Violation("permission", name, "nx", f"gfn {gfn:#x}: huge and executable under NX")
    if not leaf.writable:
        return
    reason = None
    if slot.flags & READONLY:
        reason = "readonly-slot", "writable in a read-only memslot"
    elif not pte & PTE_WRITE:
        reason = "host-readonly", "writable, but read-only on the host"
    elif any_tracked(memory, slot, gfn, npages, new):
        reason = "tracked", "writable, but writes to it are tracked"
    if reason is not None:
        yield Violation("permission", name, reason[0], f"gfn {gfn:#x}: {reason[1]}")
    if slot.dirty_log:
        yield from dirty_violations(side, config, slot, gfn, leaf)


def any_tracked(memory: MemoryMap, slot: Slot, gfn: int, npages: int, new: bool) -> bool:
    """True if writes to a gfn of the leaf are tracked."""
    if npages == 1:
        return memory.tracked(slot.as_id, gfn) if new else gfn in slot.tracked
    return any(gfn <= tracked < gfn + npages for tracked in slot.tracked)


def dirty_violations(
    side: KvmSide, config: Config, slot: Slot, gfn: int, leaf: Leaf
) -> Iterator[Violation]:
    """A writable leaf in a slot that logs dirty pages must be a 4K page that is marked dirty."""
    if leaf.level > 1:
        if not config.init_set:
            yield Violation(
                "permission",
                side.name,
                "dirty-huge",
                f"gfn {gfn:#x}: huge and writable while logging",
            )
        return
    # With PML the CPU logs the first write, by the SPTE's dirty bit.
    if config.dirty_mode == "pml":
        return
    kvm_slot = side.kvm.memslots[slot.as_id].id_hash.get(slot.slot)
    if kvm_slot is None or kvm_slot.dirty_bitmap is None:
        return
    rel = gfn - kvm_slot.base_gfn
    if not kvm_slot.dirty_bitmap.get(rel >> 6, 0) >> (rel & 63) & 1:
        yield Violation(
            "dirty-log", side.name, "writable-clean", f"gfn {gfn:#x}: writable, not marked dirty"
        )


def max_level(config: Config, memory: MemoryMap, mm: HostMM, slot: Slot, gfn: int) -> int:
    """The level at which `gfn` should be mapped."""
    if slot.dirty_log:
        return 1
    limit = config.max_level if config.paging == "tdp" else min(config.max_level, 2)
    level = min(limit, mm.mapping_level(slot.hva(gfn)))
    while level > 1:
        npages = 1 << (9 * (level - 1))
        first = gfn & -npages
        congruent = (slot.gfn ^ (slot.base_hva >> 12)) & (npages - 1) == 0
        inside = slot.gfn <= first and first + npages <= slot.gfn + slot.npages
        if (
            congruent
            and inside
            and not any(first <= tracked < first + npages for tracked in slot.tracked)
        ):
            break
        level -= 1
    return level
