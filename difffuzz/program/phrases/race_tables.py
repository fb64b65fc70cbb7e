# SPDX-License-Identifier: GPL-2.0-only
"""Races about page tables that go: a huge page may be there again, or NX recovery takes them."""

from __future__ import annotations

from typing import Final

from .. import addresses
from ..addresses import Place
from ..limits import HOST_THREADS, WORKER_THREAD
from ..model import DIRTY_LOG, Op, SlotSpec
from ..op_maker import OpMaker
from ..ops import Kind
from .parts import OFF, ON, SYNC, access, clean, reclaim, vcpu, vmm

_2M: Final = 512
_PAGES: Final = (1, 1, 2, 3)
"""Pages of one table that such a race is about."""
_REGIONS: Final = (2, 3, 8, 8)
"""Tables that the NX mitigation gets before the race for them."""
_TAKES: Final = (
    *(Kind.AGE,) * 4,
    Kind.DONTNEED,
    Kind.MIGRATE,
    Kind.COW_WRITE,
    Kind.THP_SPLIT,
    Kind.TEST_AGE,
)
AGAIN: Final = 0.5
"""How often a page that was used before is used in the race, and written if it was protected."""
_UNUSED: Final = 0.25
"""How often nobody used the pages before: the table is made in the race that does away with it."""
_MANY: Final = 5
"""With so many tables a limit of shadow pages means that some are reclaimed."""
_FEW_PAGES: Final = (8, 8, 10, 12)
"""Limits of shadow pages that make the legacy MMU reclaim some at once."""


def use(maker: OpMaker, place: Place, thread: int | None = None) -> Op:
    """An access; under the NX mitigation often a fetch, for which tables are made."""
    rng = maker.rng
    thread = vcpu(maker) if thread is None else thread
    if maker.config.nx and rng.random() < 0.4:
        return Op(Kind.EXEC, thread, (place.gfn,))
    return access(maker, place, thread)


def protect(maker: OpMaker, slot: SlotSpec) -> list[Op]:
    """What write-protects the dirty pages of the slot."""
    name = slot.slot, slot.as_id
    ops = [vmm(Kind.DIRTY_GET, *name)]
    if maker.config.manual_protect:
        ops.append(vmm(Kind.DIRTY_CLEAR, *name, 0, slot.npages))
    return ops


def collapsing(maker: OpMaker, place: Place, slot: SlotSpec) -> list[Op]:
    """A table stands where a huge page may be again: what forbade that goes, or has gone just now.

    Logging forbade it, or a tracked page.  vCPUs use the table's pages while it is cut off, or one
    makes the table then, the host ages them or takes them, the worker recovers.
    """
    rng = maker.rng
    pages = _of_one_table(place, slot, 1 + rng.choice(_PAGES))
    name = slot.slot, slot.as_id
    ops: list[Op] = []
    if rng.random() < 0.4:
        tracked = rng.choice(pages).gfn
        ops += [vmm(Kind.TRACK_ADD, slot.as_id, tracked), SYNC]
        allow = vmm(Kind.TRACK_REMOVE, slot.as_id, tracked)
    else:
        if not slot.flags & DIRTY_LOG:
            ops += [vmm(Kind.MEMSLOT_FLAGS, *name, slot.flags | DIRTY_LOG), SYNC]
        allow = vmm(Kind.MEMSLOT_FLAGS, *name, slot.flags & ~DIRTY_LOG)
    if rng.random() < _UNUSED:  # and nobody else: two tasks at the right places are rare enough
        page = rng.choice(pages)
        fetch = Op(Kind.EXEC, vcpu(maker), (page.gfn,))
        return [*ops, fetch if maker.config.nx else access(maker, page), allow, SYNC]
    used = [use(maker, rng.choice(pages)) for _ in range(rng.choice((1, 1, 2)))]
    ops += used
    logged = allow.kind is Kind.MEMSLOT_FLAGS
    protected = logged and rng.random() < 0.5
    if protected:
        ops += [SYNC, *protect(maker, slot)]
    before = rng.random() < (0.2 if logged else 0.6)
    if before:
        ops += [SYNC, allow]
    ops.append(SYNC)
    for thread in range(min(maker.config.vcpus, rng.choice((1, 2, 2)))):
        for _ in range(rng.choice((1, 1, 2))):
            op = use(maker, rng.choice(pages), thread)
            if rng.random() < AGAIN:
                kind = Kind.WRITE if protected else op.kind
                op = Op(kind, thread, rng.choice(used).args)
            ops.append(op)
    if rng.random() < 0.4:
        ops.append(maker.op(rng.choice(_TAKES), rng.choice(pages)))
    if rng.random() < 0.15:
        ops.append(Op(Kind.NX_RECOVER, WORKER_THREAD))
    if not before:
        ops.append(allow)
    return [*ops, SYNC]


def recovering(maker: OpMaker, place: Place, slot: SlotSpec) -> list[Op]:
    """The worker recovers tables of the NX mitigation while others make or free some.

    Fetches in several regions of 2M made them.
    """
    rng = maker.rng
    name = slot.slot, slot.as_id
    offsets = range((place.gfn - slot.gfn) % _2M, slot.npages, _2M)
    regions = [addresses.inside(slot, offset) for offset in offsets[: rng.choice(_REGIONS)]]
    ops = _unlogged(slot)
    ops += [] if maker.config.nx else [vmm(Kind.NX, *ON), SYNC]
    thread = vcpu(maker)
    ops += [Op(Kind.EXEC, thread, (region.gfn,)) for region in regions]
    ops.append(SYNC)
    if rng.random() < 0.6:
        ops.append(Op(Kind.EXEC, vcpu(maker), (rng.choice(regions).gfn,)))
    if rng.random() < 0.3:
        ops.append(access(maker, rng.choice(regions)))
    ops.append(Op(Kind.NX_RECOVER, WORKER_THREAD))
    way = rng.random()
    if way < 0.3:
        ops += [vmm(Kind.NX, *OFF), vmm(Kind.NX, *ON)]
    elif way < 0.6 or len(regions) >= _MANY:
        ops.append(vmm(Kind.MMU_PAGES, rng.choice(_FEW_PAGES)))
    elif way < 0.75:
        ops.append(vmm(Kind.MEMSLOT_FLAGS, *name, slot.flags | DIRTY_LOG))
    elif way < 0.85:
        ops.append(vmm(Kind.MEMSLOT_DELETE, *name))
    else:
        ops.append(maker.op(rng.choice(_TAKES), rng.choice(regions)))
    return [*ops, SYNC]


def sweeping(maker: OpMaker, place: Place, slot: SlotSpec) -> list[Op]:
    """All pages of a slot go at once while vCPUs use some: the zap yields to them halfway.

    They are in several tables, of which some may be empty by then; what a TLB kept shows when the
    pages are used again.
    """
    rng = maker.rng
    tables = max(1, min(3, slot.npages // _2M))
    first = place.gfn - slot.gfn
    pages = [addresses.inside(slot, (first + n * _2M) % slot.npages) for n in range(tables)]
    ops: list[Op] = []
    if len(pages) > 1 and rng.random() < 0.5:
        gone = pages.pop()
        ops += [
            access(maker, gone),
            SYNC,
            Op(Kind.DONTNEED, HOST_THREADS[0], (gone.area, gone.page, 1)),
        ]
        ops.append(SYNC)
        pages = pages[: rng.choice((1, 2))]
    used = [access(maker, rng.choice(pages)) for _ in range(rng.choice((1, 1, 2, 3)))]
    ops += [*used, SYNC]
    for thread in range(min(maker.config.vcpus, rng.choice((1, 2, 2)))):
        again = rng.choice(used)
        ops.append(again._replace(thread=thread))
        if rng.random() < 0.5:
            ops.append(access(maker, addresses.near(rng, rng.choice(pages)), thread))
    if rng.random() < 0.7:
        whole = slot.area, slot.page, slot.npages
        kind = rng.choice((Kind.DONTNEED, Kind.DONTNEED, Kind.MUNMAP))
        ops.append(Op(kind, HOST_THREADS[0], whole))
    else:
        ops.append(vmm(Kind.ZAP_GFN_RANGE, slot.gfn, slot.npages))
    return [*ops, SYNC, rng.choice(used)]


def cleaning(maker: OpMaker, place: Place, slot: SlotSpec) -> list[Op]:
    """The host makes a page clean; vCPUs write to it while something else takes their SPTEs' bits.

    Then the host reclaims it, perhaps in the middle of that: nothing that was written may be lost.
    """
    rng = maker.rng
    written = Op(Kind.WRITE, vcpu(maker), (place.gfn,))
    ops = [*_unlogged(slot), written, SYNC, clean(maker, place), SYNC]
    for thread in range(min(maker.config.vcpus, rng.choice((1, 1, 2)))):
        ops.append(written._replace(thread=thread))
        if rng.random() < 0.5:
            ops.append(access(maker, place, thread))
    way = rng.random()
    if way < 0.3:
        ops.append(vmm(Kind.MEMSLOT_FLAGS, slot.slot, slot.as_id, slot.flags | DIRTY_LOG))
    elif way < 0.5:
        ops.append(vmm(Kind.ZAP_GFN_RANGE, place.gfn, 1))
    elif way < 0.7:
        ops.append(maker.op(Kind.AGE, place, HOST_THREADS[1]))
    if rng.random() < 0.6:
        ops.append(SYNC)
    return [*ops, reclaim(maker, place), SYNC, written._replace(kind=Kind.READ)]


def splitting(maker: OpMaker, place: Place, slot: SlotSpec) -> list[Op]:
    """A vCPU makes a table of a huge page while others use that, and the host ages or takes pages.

    What makes it is a fetch under the NX mitigation, or a write once logging has begun.
    """
    rng = maker.rng
    pages = _of_one_table(place, slot, 1 + rng.choice(_PAGES))
    ops = _unlogged(slot)
    kind = Kind.EXEC if maker.config.nx or rng.random() < 0.5 else Kind.WRITE
    if kind is Kind.EXEC and not maker.config.nx:
        ops.append(vmm(Kind.NX, *ON))
    ops += [Op(Kind.READ, vcpu(maker), (rng.choice(pages).gfn,)), SYNC]
    if kind is Kind.WRITE:
        ops += [vmm(Kind.MEMSLOT_FLAGS, slot.slot, slot.as_id, slot.flags | DIRTY_LOG), SYNC]
    ops.append(Op(kind, 0, (rng.choice(pages).gfn,)))
    for thread in range(1, min(maker.config.vcpus, 3)) or (0,):
        ops.append(access(maker, rng.choice(pages), thread))
    for _ in range(rng.choice((0, 1, 1, 2))):
        kind = Kind.AGE if rng.random() < 0.5 else rng.choice(_TAKES)
        ops.append(maker.op(kind, rng.choice(pages)))
    return [*ops, SYNC]


def _unlogged(slot: SlotSpec) -> list[Op]:
    """What lets the slot's pages be huge: under logging none is."""
    if not slot.flags & DIRTY_LOG:
        return []
    return [vmm(Kind.MEMSLOT_FLAGS, slot.slot, slot.as_id, slot.flags & ~DIRTY_LOG), SYNC]


def _of_one_table(place: Place, slot: SlotSpec, count: int) -> list[Place]:
    """Up to `count` neighbours that one page table maps, the place first."""
    table = place.gfn // _2M
    offset = place.gfn - slot.gfn
    near = (offset + step for step in (0, 1, -1, 2, -2, 3, -3))
    return [
        addresses.inside(slot, one)
        for one in near
        if 0 <= one < slot.npages and (slot.gfn + one) // _2M == table
    ][:count]
