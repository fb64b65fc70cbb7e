# SPDX-License-Identifier: GPL-2.0-only
"""Phrases about memslots: logged, replaced, put where MMIO was, write-tracked."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from .. import addresses
from ..addresses import Place
from ..limits import AREA_PAGES, LOW_GFNS, MAX_SLOTS, N_AREAS
from ..model import DIRTY_LOG, Op, SlotSpec
from ..op_maker import OpMaker
from ..ops import Kind
from .pages import single
from .parts import ON, access, later, mode, take, vcpu, vmm

_BLOCK: Final = 512
_WORD: Final = 64
_FREE_GFNS: Final = (0xA0000, 0xE0000, 0x90000)
"""Gfns that few slots have."""


def dirty_log(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """Logging switched on over pages in use, writes, the log read or partly cleared, a write again.

    Perhaps logging goes off at last, which lets huge pages come back.
    """
    rng = maker.rng
    place = maker.place()
    if rng.random() < 0.2:
        place = addresses.aligned(place, _BLOCK)
    slot = place.slot
    if slot is None:
        return single(maker, kinds)
    if rng.random() < 0.3:
        place = _edge(rng, place)
    name = (slot.slot, slot.as_id)
    off = vmm(Kind.MEMSLOT_FLAGS, *name, slot.flags & ~DIRTY_LOG)
    thread = vcpu(maker)
    ops = mode(maker, place, thread)
    if rng.random() < 0.15:
        ops.append(Op(Kind.GUEST_MODE, thread, ON))  # what a nested guest writes is logged, too
    if slot.flags & DIRTY_LOG and rng.random() < 0.5:
        ops.append(off)
    if rng.random() < 0.7:
        ops.append(access(maker, place, thread))
        if rng.random() < 0.5:
            ops.append(maker.op(rng.choice((Kind.AGE, Kind.AGE, rng.choice(kinds))), place))
    ops.append(vmm(Kind.MEMSLOT_FLAGS, *name, slot.flags | DIRTY_LOG))
    where = place if rng.random() < 0.8 else maker.place()
    if rng.random() < (0.3 if maker.config.init_set else 0.7):  # all is dirty then, anyway
        ops += [maker.op(Kind.WRITE, where, thread), vmm(Kind.DIRTY_GET, *name)]
    if rng.random() < (0.8 if maker.config.manual_protect else 0.3):
        edge = _edge(rng, place)
        ops.append(_clear(maker, edge))
        where = rng.choice((where, edge))
    if rng.random() < 0.8:
        ops.append(maker.op(Kind.WRITE, where, thread))
    if rng.random() < 0.7:
        return [*ops, vmm(Kind.DIRTY_GET, *name)]
    ops.append(off)
    if rng.random() < 0.5:
        ops.append(take(maker, place))
    return [*ops, *later(maker, kinds, place, thread)]


def _edge(rng: Random, place: Place) -> Place:
    """The place, or the first or last one of its 2M page if the slot has it."""
    slot = place.slot
    assert slot is not None
    block = place.gfn & -_BLOCK
    gfn = rng.choice((place.gfn, block, block + _BLOCK - 1))
    if slot.gfn <= gfn < slot.gfn + slot.npages:
        return addresses.inside(slot, gfn - slot.gfn)
    return place


def _clear(maker: OpMaker, place: Place) -> Op:
    """The log cleared at the place, often one word of it only."""
    op = maker.op(Kind.DIRTY_CLEAR, place)
    first = op.args[2]
    if place.slot is not None and maker.rng.random() < 0.6 and first % _WORD == 0:
        op = op._replace(args=(*op.args[:3], min(_WORD, place.slot.npages - first)))
    return op


def replace_slot(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A slot used, deleted, created again (the same or elsewhere), and used."""
    place = maker.place()
    slot = place.slot
    if slot is None:
        return single(maker, kinds)
    again = _vary(maker.rng, slot)
    thread = vcpu(maker)
    ops = [*mode(maker, place, thread), access(maker, place, thread)]
    ops.append(vmm(Kind.MEMSLOT_DELETE, slot.slot, slot.as_id))
    if maker.rng.random() < 0.4:
        ops.append(access(maker, place, thread))
    return [*ops, vmm(Kind.MEMSLOT_CREATE, *again), access(maker, place, thread)]


def tracked(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """Writes to a page are tracked, from here or from SMM, while it is used from both.

    Some time before it was written, perhaps, and its permissions were taken for the time being.
    """
    rng = maker.rng
    place = maker.place()
    thread = vcpu(maker)
    track = vmm(Kind.TRACK_ADD, rng.choice((place.as_id, place.as_id, 0, 1)), place.gfn)
    ops = [track, access(maker, place, thread)]
    if rng.random() < 0.3:
        taken = maker.op(rng.choice((Kind.AGE, Kind.DIRTY_GET)), place)
        ops = [Op(Kind.WRITE, thread, (place.gfn,)), taken, *ops]
    elif rng.random() < 0.5:
        ops.reverse()
    if rng.random() < 0.5:
        ops += [Op(Kind.SMM, thread, (rng.randrange(2),)), access(maker, place, thread)]
    if rng.random() < 0.3:
        ops.append(track._replace(kind=Kind.TRACK_REMOVE))
    return [*ops, *later(maker, kinds, place, thread)]


def fill_hole(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """MMIO where no slot is, in SMM or not, then a slot is put there, and the access repeated.

    In between something is done with the new slot: it is tracked, logged, backed by pages.
    """
    rng = maker.rng
    gfn = addresses.outside(rng, maker.config).gfn
    thread = vcpu(maker)
    as_id = _space(maker)
    pages = min(rng.choice((1, 2, _BLOCK)), LOW_GFNS - gfn)
    page = gfn % (AREA_PAGES - _BLOCK)
    slot = SlotSpec(rng.randrange(MAX_SLOTS), as_id, gfn, pages, rng.randrange(N_AREAS), page)
    place = Place(gfn, as_id, slot, slot.area, page)
    create = vmm(Kind.MEMSLOT_CREATE, *slot)
    ops = [*_enter(maker, as_id, thread), access(maker, place, thread), create]
    for _ in range(rng.choice((0, 1, 1, 2))):
        about = rng.choice((Kind.TRACK_ADD, Kind.MEMSLOT_FLAGS, Kind.HOST_WRITE, *kinds))
        ops.append(maker.op(about, place))
    return [*ops, access(maker, place, thread)]


def slot_updates(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A place used, or MMIO, in SMM or not; memslots elsewhere are updated; it is used again."""
    rng = maker.rng
    as_id = _space(maker)
    place = maker.place() if rng.random() < 0.4 else addresses.outside(rng, maker.config)
    thread = vcpu(maker)
    ops = [*_enter(maker, as_id, thread), access(maker, place, thread)]
    gfn = rng.choice(_FREE_GFNS)
    ids = rng.sample(range(MAX_SLOTS), rng.choice((1, 2, 2, 3, 4)))
    for number, slot_id in enumerate(ids):
        where = (gfn + number, 1, place.area, place.page)
        ops.append(vmm(Kind.MEMSLOT_CREATE, slot_id, as_id, *where, 0))
        if rng.random() < 0.15:
            ops.append(vmm(Kind.MEMSLOT_DELETE, slot_id, as_id))
    if rng.random() < 0.3:
        ops.append(maker.op(rng.choice(kinds), place))
    return [*ops, access(maker, place, thread)]


def _space(maker: OpMaker) -> int:
    """An address space, mostly the first."""
    return maker.rng.choice((0, 0, 0, 1, 1))


def _enter(maker: OpMaker, as_id: int, thread: int) -> list[Op]:
    """The vCPU goes to that address space; most are in the first already."""
    if as_id or maker.rng.random() < 0.2:
        return [Op(Kind.SMM, thread, (as_id,))]
    return []


def _vary(rng: Random, slot: SlotSpec) -> SlotSpec:
    """The slot as it was, or under another id, shorter, of other pages, or with other flags."""
    way = rng.randrange(6)
    if way == 0:
        return slot._replace(slot=(slot.slot + 1) % MAX_SLOTS)
    if way == 1:
        return slot._replace(npages=max(1, slot.npages // 2))
    if way == 2:
        return slot._replace(page=slot.page ^ 1 if slot.page else slot.page)
    if way == 3:
        return slot._replace(flags=rng.randrange(4))
    return slot
