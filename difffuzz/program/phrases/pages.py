# SPDX-License-Identifier: GPL-2.0-only
"""Phrases about pages: used, parked, aged, made huge, split, taken back, reclaimed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .. import addresses
from ..model import DIRTY_LOG, Op
from ..ops import OPS, Kind
from ..scene import Scene
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


def single(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """One operation."""
    return [scene.op(scene.rng.choice(kinds))]


def prefaulted(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Pages are faulted in before they are used, perhaps after the host or a memslot changed."""
    rng = scene.rng
    place = scene.place()
    thread = vcpu(scene)
    ops: list[Op] = []
    if rng.random() < 0.5:
        ops.append(access(scene, addresses.near(rng, place), thread))
    if rng.random() < 0.5:
        changes = (Kind.THP_SPLIT, Kind.THP_COLLAPSE, Kind.DONTNEED, Kind.MEMSLOT_DELETE)
        ops.append(scene.op(rng.choice(changes), addresses.near(rng, place)))
    ops.append(Op(Kind.PREFAULT, thread, (place.gfn, rng.choice((1, 1, 1, 2, 9, 512)))))
    return [*ops, *later(scene, kinds, place, thread)]


def access_twice(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """An access, something in between at the same place, another access, mostly of one vCPU."""
    rng = scene.rng
    place = scene.place()
    thread = vcpu(scene)
    between = [scene.op(rng.choice(kinds), place) for _ in range(rng.randrange(1, 3))]
    again = access(scene, place, thread if rng.random() < 0.7 else None)
    return [*mode(scene, place, thread), access(scene, place, thread), *between, again]


def parked(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A fault parked while other operations run, mostly at the same place."""
    place = scene.place()
    begin = scene.op(Kind.BEGIN_FAULT, place)
    between: list[Op] = []
    for _ in range(scene.rng.choice((1, 1, 2, 2, 3, 5))):
        where = place if scene.rng.random() < 0.7 else scene.place()
        op = scene.op(scene.rng.choice(kinds), where)
        if op.thread != begin.thread:
            between.append(op)
    ops = [*mode(scene, place, begin.thread), begin, *between, Op(Kind.END_FAULT, begin.thread)]
    if scene.rng.random() < 0.5:
        ops.append(access(scene, place, begin.thread))
    return ops


def overtaken(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A fault parked while another vCPU uses the page, which that one uses again after a change."""
    rng = scene.rng
    if scene.config.vcpus < 2:
        return parked(scene, kinds)
    place = scene.place()
    late, early = rng.sample(range(scene.config.vcpus), 2)
    begin = scene.op(Kind.BEGIN_FAULT, place, late)
    ops = [*mode(scene, place, late), *mode(scene, place, early), begin]
    ops += [access(scene, place, early), Op(Kind.END_FAULT, late)]
    if rng.random() < 0.7:
        ops.append(scene.op(rng.choice((Kind.TRACK_ADD, *_QUIET)), place))
    return [*ops, access(scene, place, early)]


def taken_back(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A page used, its SPTE perhaps changed, taken back by the host, and used by the same vCPU.

    Whatever lost its way to a TLB flush shows at the end.
    """
    rng = scene.rng
    place = scene.place()
    thread = vcpu(scene)
    ops = [*mode(scene, place, thread), access(scene, place, thread)]
    for _ in range(rng.choice((0, 1, 1, 2))):
        ops.append(scene.op(rng.choice((*_QUIET, *kinds)), place))
    return [*ops, take(scene, place), access(scene, place, thread)]


def huge_page(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Small pages of one 2M block used, made one huge page or split, and used again."""
    place = addresses.aligned(scene.place(), _BLOCK)
    other = addresses.near(scene.rng, place)
    change = scene.rng.choice((Kind.THP_COLLAPSE, Kind.THP_COLLAPSE, Kind.THP_SPLIT))
    return [
        access(scene, place),
        access(scene, other),
        scene.op(change, place),
        access(scene, scene.rng.choice((place, other))),
    ]


def execute_huge(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A huge page executed under the NX mitigation, which splits it, recovered, and used again.

    A slot that logs dirty pages maps small ones anyway: perhaps there is one.
    """
    rng = scene.rng
    place = scene.place()
    thread = vcpu(scene)
    ops = [vmm(Kind.NX, *ON)] if rng.random() < 0.5 else []
    if scene.config.slots and rng.random() < 0.3:
        slot = rng.choice(scene.config.slots)
        ops.append(vmm(Kind.MEMSLOT_FLAGS, slot.slot, slot.as_id, slot.flags | DIRTY_LOG))
    ops += mode(scene, place, thread)
    if rng.random() < 0.7:
        ops.append(access(scene, place, thread))
    ops.append(scene.op(Kind.EXEC, place, thread))
    if rng.random() < 0.3:
        ops.append(scene.op(rng.choice(kinds), place))
    ops.append(Op(Kind.NX_RECOVER, OPS[Kind.NX_RECOVER].threads[0]))
    return [*ops, *later(scene, kinds, place, thread)]


def aged(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A page used, marked idle, perhaps something else, and used again."""
    place = scene.place()
    thread = vcpu(scene)
    ops = [*mode(scene, place, thread), access(scene, place, thread), scene.op(Kind.AGE, place)]
    if scene.rng.random() < 0.6:
        ops.append(scene.op(scene.rng.choice(kinds), place))
    return [*ops, *later(scene, kinds, place, thread)]


def reclaimed(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A page made clean by the host, written through its SPTE, and reclaimed: is the write kept?

    What makes it clean depends on the memory; a fresh page of shmem is clean once it is read.
    """
    rng = scene.rng
    place = scene.place()
    thread = vcpu(scene)
    first = Kind.READ if rng.random() < 0.5 else Kind.WRITE
    ops = [*mode(scene, place, thread), scene.op(first, place, thread), clean(scene, place)]
    written = scene.op(Kind.WRITE, place, thread)
    ops.append(written)
    for _ in range(rng.choice((0, 1, 1, 2))):
        ops.append(scene.op(rng.choice((*_QUIET, *kinds)), place))
    if rng.random() < 0.3:
        ops.append(written)
    return [*ops, reclaim(scene, place), Op(Kind.READ, thread, (place.gfn,))]


def by_turns(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Two different accesses of a vCPU, mostly to one 2M block, again and again."""
    rng = scene.rng
    place = scene.place()
    thread = vcpu(scene)
    other = addresses.near(rng, place)
    if place.slot is not None and rng.random() < 0.6:
        block = place.gfn & -_BLOCK
        offset = (place.gfn + rng.choice(_ASIDE)) % _BLOCK + block - place.slot.gfn
        other = addresses.inside(place.slot, offset % place.slot.npages)
    one, two = rng.sample(_TURNS, 2)
    turn = [scene.op(one, place, thread), scene.op(two, other, thread)]
    return [*mode(scene, place, thread), *(turn * rng.choice((2, 4, 6)))]


def over_table(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Pages of one table are used while a tracked one forbids a huge page; then one may be there,
    and another page brings it."""
    rng = scene.rng
    place = addresses.aligned(scene.place(), _BLOCK)
    slot = place.slot
    if slot is None or slot.npages < _BLOCK:
        return huge_page(scene, kinds)
    first = place.gfn - slot.gfn
    pages = [
        addresses.inside(slot, (first + offset) % slot.npages)
        for offset in rng.sample(_IN_TABLE, rng.choice((3, 3, 4)))
    ]
    thread = vcpu(scene)
    track = vmm(Kind.TRACK_ADD, place.as_id, pages[0].gfn)
    ops = [*mode(scene, place, thread), track]
    ops += [access(scene, page, thread) for page in pages[1:-1]]
    ops += [track._replace(kind=Kind.TRACK_REMOVE), access(scene, pages[-1], thread)]
    if rng.random() < 0.5:
        ops += [take(scene, rng.choice(pages)), access(scene, rng.choice(pages), thread)]
    return ops


def crowd(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Accesses to many 2M blocks of a slot under a low MMU page limit, then to the first again."""
    rng = scene.rng
    place = scene.place()
    if place.slot is None:
        return single(scene, kinds)
    lowest = rng.choice(_LIMITS)
    blocks = min(rng.choice((4, 8, 24)) if lowest < 64 else 70, place.slot.npages // _BLOCK)
    places = [addresses.inside(place.slot, block * _BLOCK) for block in range(blocks)]
    limit = vmm(Kind.MMU_PAGES, lowest)
    accesses = [access(scene, where) for where in places]
    if rng.random() < 0.5:
        return [limit, *accesses, access(scene, place)]
    return [*accesses, limit, access(scene, place)]
