# SPDX-License-Identifier: GPL-2.0-only
"""Phrases about pages: used, parked, aged, made huge, split, taken back, reclaimed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .. import addresses
from ..model import DIRTY_LOG, Op
from ..op_maker import OpMaker
from ..ops import OPS, Kind
from .parts import ON, access, clean, later, mode, reclaim, take, vcpu, vmm

_BLOCK: Final = 512
_LIMITS: Final = (8, 9, 10, 12, 16, 64, 65, 70)
_TURNS: Final = (Kind.WRITE, Kind.EXEC, Kind.READ)
_ASIDE: Final = (1, 2, 8, 0x10, 0x40, 0x100, _BLOCK - 1)
_IN_TABLE: Final = (0, 1, 2, 0x40, 0x100, _BLOCK - 2, _BLOCK - 1)
_QUIET: Final = (
    Kind.AGE, Kind.AGE, Kind.MEMSLOT_FLAGS, Kind.DIRTY_CLEAR, Kind.DIRTY_GET, Kind.NX,
    Kind.NX_RECOVER, Kind.TRACK_ADD, Kind.ZAP_GFN_RANGE, Kind.THP_COLLAPSE, Kind.RELOAD,
)  # fmt: skip
"""What changes SPTEs, or whether they may be used, while the host keeps the page."""


def single(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """One operation."""
    return [maker.op(maker.rng.choice(kinds))]


def prefaulted(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """Pages are faulted in before they are used, perhaps after the host or a memslot changed."""
    rng = maker.rng
    place = maker.place()
    thread = vcpu(maker)
    ops: list[Op] = []
    if rng.random() < 0.5:
        ops.append(access(maker, addresses.near(rng, place), thread))
    if rng.random() < 0.5:
        changes = (Kind.THP_SPLIT, Kind.THP_COLLAPSE, Kind.DONTNEED, Kind.MEMSLOT_DELETE)
        ops.append(maker.op(rng.choice(changes), addresses.near(rng, place)))
    ops.append(Op(Kind.PREFAULT, thread, (place.gfn, rng.choice((1, 1, 1, 2, 9, 512)))))
    return [*ops, *later(maker, kinds, place, thread)]


def access_twice(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """An access, something in between at the same place, another access, mostly of one vCPU."""
    rng = maker.rng
    place = maker.place()
    thread = vcpu(maker)
    between = [maker.op(rng.choice(kinds), place) for _ in range(rng.randrange(1, 3))]
    again = access(maker, place, thread if rng.random() < 0.7 else None)
    return [*mode(maker, place, thread), access(maker, place, thread), *between, again]


def parked(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A fault parked while other operations run, mostly at the same place."""
    place = maker.place()
    begin = maker.op(Kind.BEGIN_FAULT, place)
    between: list[Op] = []
    for _ in range(maker.rng.choice((1, 1, 2, 2, 3, 5))):
        where = place if maker.rng.random() < 0.7 else maker.place()
        op = maker.op(maker.rng.choice(kinds), where)
        if op.thread != begin.thread:
            between.append(op)
    ops = [*mode(maker, place, begin.thread), begin, *between, Op(Kind.END_FAULT, begin.thread)]
    if maker.rng.random() < 0.5:
        ops.append(access(maker, place, begin.thread))
    return ops


def overtaken(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A fault parked while another vCPU uses the page, which that one uses again after a change."""
    rng = maker.rng
    if maker.config.vcpus < 2:
        return parked(maker, kinds)
    place = maker.place()
    late, early = rng.sample(range(maker.config.vcpus), 2)
    begin = maker.op(Kind.BEGIN_FAULT, place, late)
    ops = [*mode(maker, place, late), *mode(maker, place, early), begin]
    ops += [access(maker, place, early), Op(Kind.END_FAULT, late)]
    if rng.random() < 0.7:
        ops.append(maker.op(rng.choice((Kind.TRACK_ADD, *_QUIET)), place))
    return [*ops, access(maker, place, early)]


def taken_back(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A page used, its SPTE perhaps changed, taken back by the host, and used by the same vCPU.

    Whatever lost its way to a TLB flush shows at the end.
    """
    rng = maker.rng
    place = maker.place()
    thread = vcpu(maker)
    ops = [*mode(maker, place, thread), access(maker, place, thread)]
    for _ in range(rng.choice((0, 1, 1, 2))):
        ops.append(maker.op(rng.choice((*_QUIET, *kinds)), place))
    return [*ops, take(maker, place), access(maker, place, thread)]


def huge_page(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """Small pages of one 2M block used, made one huge page or split, and used again."""
    place = addresses.aligned(maker.place(), _BLOCK)
    other = addresses.near(maker.rng, place)
    change = maker.rng.choice((Kind.THP_COLLAPSE, Kind.THP_COLLAPSE, Kind.THP_SPLIT))
    return [
        access(maker, place),
        access(maker, other),
        maker.op(change, place),
        access(maker, maker.rng.choice((place, other))),
    ]


def execute_huge(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A huge page executed under the NX mitigation, which splits it, recovered, and used again.

    A slot that logs dirty pages maps small ones anyway: perhaps there is one.
    """
    rng = maker.rng
    place = maker.place()
    thread = vcpu(maker)
    ops = [vmm(Kind.NX, *ON)] if rng.random() < 0.5 else []
    if maker.config.slots and rng.random() < 0.3:
        slot = rng.choice(maker.config.slots)
        ops.append(vmm(Kind.MEMSLOT_FLAGS, slot.slot, slot.as_id, slot.flags | DIRTY_LOG))
    ops += mode(maker, place, thread)
    if rng.random() < 0.7:
        ops.append(access(maker, place, thread))
    ops.append(maker.op(Kind.EXEC, place, thread))
    if rng.random() < 0.3:
        ops.append(maker.op(rng.choice(kinds), place))
    ops.append(Op(Kind.NX_RECOVER, OPS[Kind.NX_RECOVER].threads[0]))
    return [*ops, *later(maker, kinds, place, thread)]


def aged(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A page used, marked idle, perhaps something else, and used again."""
    place = maker.place()
    thread = vcpu(maker)
    ops = [*mode(maker, place, thread), access(maker, place, thread), maker.op(Kind.AGE, place)]
    if maker.rng.random() < 0.6:
        ops.append(maker.op(maker.rng.choice(kinds), place))
    return [*ops, *later(maker, kinds, place, thread)]


def reclaimed(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A page made clean by the host, written through its SPTE, and reclaimed: is the write kept?

    What makes it clean depends on the memory; a fresh page of shmem is clean once it is read.
    """
    rng = maker.rng
    place = maker.place()
    thread = vcpu(maker)
    first = Kind.READ if rng.random() < 0.5 else Kind.WRITE
    ops = [*mode(maker, place, thread), maker.op(first, place, thread), clean(maker, place)]
    written = maker.op(Kind.WRITE, place, thread)
    ops.append(written)
    for _ in range(rng.choice((0, 1, 1, 2))):
        ops.append(maker.op(rng.choice((*_QUIET, *kinds)), place))
    if rng.random() < 0.3:
        ops.append(written)
    return [*ops, reclaim(maker, place), Op(Kind.READ, thread, (place.gfn,))]


def by_turns(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """Two different accesses of a vCPU, mostly to one 2M block, again and again."""
    rng = maker.rng
    place = maker.place()
    thread = vcpu(maker)
    other = addresses.near(rng, place)
    if place.slot is not None and rng.random() < 0.6:
        block = place.gfn & -_BLOCK
        offset = (place.gfn + rng.choice(_ASIDE)) % _BLOCK + block - place.slot.gfn
        other = addresses.inside(place.slot, offset % place.slot.npages)
    one, two = rng.sample(_TURNS, 2)
    turn = [maker.op(one, place, thread), maker.op(two, other, thread)]
    return [*mode(maker, place, thread), *(turn * rng.choice((2, 4, 6)))]


def over_table(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """Pages of one table are used while a tracked one forbids a huge page; then one may be there,
    and another page brings it."""
    rng = maker.rng
    place = addresses.aligned(maker.place(), _BLOCK)
    slot = place.slot
    if slot is None or slot.npages < _BLOCK:
        return huge_page(maker, kinds)
    first = place.gfn - slot.gfn
    pages = [
        addresses.inside(slot, (first + offset) % slot.npages)
        for offset in rng.sample(_IN_TABLE, rng.choice((3, 3, 4)))
    ]
    thread = vcpu(maker)
    track = vmm(Kind.TRACK_ADD, place.as_id, pages[0].gfn)
    ops = [*mode(maker, place, thread), track]
    ops += [access(maker, page, thread) for page in pages[1:-1]]
    ops += [track._replace(kind=Kind.TRACK_REMOVE), access(maker, pages[-1], thread)]
    if rng.random() < 0.5:
        ops += [take(maker, rng.choice(pages)), access(maker, rng.choice(pages), thread)]
    return ops


def crowd(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """Accesses to many 2M blocks of a slot under a low MMU page limit, then to the first again."""
    rng = maker.rng
    place = maker.place()
    if place.slot is None:
        return single(maker, kinds)
    lowest = rng.choice(_LIMITS)
    blocks = min(rng.choice((4, 8, 24)) if lowest < 64 else 70, place.slot.npages // _BLOCK)
    places = [addresses.inside(place.slot, block * _BLOCK) for block in range(blocks)]
    limit = vmm(Kind.MMU_PAGES, lowest)
    accesses = [access(maker, where) for where in places]
    if rng.random() < 0.5:
        return [limit, *accesses, access(maker, place)]
    return [*accesses, limit, access(maker, place)]
