# SPDX-License-Identifier: GPL-2.0-only
"""Phrases: short runs of operations that belong together, as a person would write them.

A random operation rarely does anything without the ones that prepare it: a fault is parked so that
something happens before it goes on, a dirty log is read because something was written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from . import addresses
from .addresses import Place
from .limits import AREA_PAGES, GFN_LIMIT, HOST_THREADS, MAX_SLOTS, N_AREAS
from .model import DIRTY_LOG, Op, SlotSpec
from .ops import OPS, Kind
from .scene import Scene

_BLOCK: Final = 512
_ACCESSES: Final = (Kind.READ, Kind.WRITE, Kind.WRITE, Kind.EXEC)
_LIMITS: Final = (8, 9, 10, 12, 16, 64, 65, 70)
_ON: Final = (1,)
_OFF: Final = (0,)

Phrase = Callable[[Scene, Sequence[Kind]], list[Op]]


def single(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """One operation."""
    return [scene.op(scene.rng.choice(kinds))]


def access_twice(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """An access, something in between at the same place, another access, mostly of one vCPU."""
    rng = scene.rng
    place = scene.place()
    thread = scene.thread(OPS[Kind.WRITE])
    between = [scene.op(rng.choice(kinds), place) for _ in range(rng.randrange(1, 3))]
    again = _access(scene, place, thread if rng.random() < 0.7 else None)
    return [*_mode(scene, place, thread), _access(scene, place, thread), *between, again]


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
    ops = [*_mode(scene, place, begin.thread), begin, *between, Op(Kind.END_FAULT, begin.thread)]
    if scene.rng.random() < 0.5:
        ops.append(_access(scene, place, begin.thread))
    return ops


def dirty_log(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Logging switched on, writes, the log read or cleared, a write again, perhaps logging off."""
    rng = scene.rng
    place = scene.place()
    if place.slot is None:
        return single(scene, kinds)
    name = (place.slot.slot, place.slot.as_id)
    thread = scene.thread(OPS[Kind.WRITE])
    ops = _mode(scene, place, thread)
    if rng.random() < 0.6:
        ops.append(_access(scene, place, thread))
        if rng.random() < 0.5:
            ops.append(scene.op(rng.choice((Kind.AGE, *kinds)), place))
    ops.append(_vmm(Kind.MEMSLOT_FLAGS, *name, DIRTY_LOG))
    ops += [scene.op(Kind.WRITE, place, thread), _vmm(Kind.DIRTY_GET, *name)]
    if rng.random() < 0.5:
        ops.append(scene.op(Kind.DIRTY_CLEAR, place))
    ops.append(scene.op(Kind.WRITE, place, thread))
    if rng.random() < 0.4:
        return [*ops, _vmm(Kind.MEMSLOT_FLAGS, *name, 0), *_later(scene, kinds, place, thread)]
    return [*ops, _vmm(Kind.DIRTY_GET, *name)]


def replace_slot(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A slot used, deleted, created again (the same or elsewhere), and used."""
    place = scene.place()
    slot = place.slot
    if slot is None:
        return single(scene, kinds)
    again = _vary(scene.rng, slot)
    thread = scene.thread(OPS[Kind.WRITE])
    ops = [*_mode(scene, place, thread), _access(scene, place, thread)]
    ops.append(_vmm(Kind.MEMSLOT_DELETE, slot.slot, slot.as_id))
    if scene.rng.random() < 0.4:
        ops.append(_access(scene, place, thread))
    return [*ops, _vmm(Kind.MEMSLOT_CREATE, *again), _access(scene, place, thread)]


def huge_page(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Small pages of one 2M block used, made one huge page or split, and used again."""
    place = addresses.aligned(scene.place(), _BLOCK)
    other = addresses.near(scene.rng, place)
    change = scene.rng.choice((Kind.THP_COLLAPSE, Kind.THP_COLLAPSE, Kind.THP_SPLIT))
    return [
        _access(scene, place),
        _access(scene, other),
        scene.op(change, place),
        _access(scene, scene.rng.choice((place, other))),
    ]


def execute_huge(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A huge page executed under the NX mitigation, which splits it, recovered, and used again."""
    place = scene.place()
    thread = scene.thread(OPS[Kind.EXEC])
    switch = [Op(Kind.NX, OPS[Kind.NX].threads[0], _ON)] if scene.rng.random() < 0.5 else []
    first = [*_mode(scene, place, thread), _access(scene, place, thread)]
    ops = [*switch, *first, scene.op(Kind.EXEC, place, thread)]
    ops.append(Op(Kind.NX_RECOVER, OPS[Kind.NX_RECOVER].threads[0]))
    return [*ops, *_later(scene, kinds, place, thread)]


def aged(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A page used, marked idle, perhaps something else, and used again."""
    place = scene.place()
    thread = scene.thread(OPS[Kind.WRITE])
    ops = [*_mode(scene, place, thread), _access(scene, place, thread), scene.op(Kind.AGE, place)]
    if scene.rng.random() < 0.6:
        ops.append(scene.op(scene.rng.choice(kinds), place))
    return [*ops, *_later(scene, kinds, place, thread)]


def by_turns(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Two accesses of a vCPU next to each other, again and again."""
    place = scene.place()
    thread = scene.thread(OPS[Kind.WRITE])
    one = _access(scene, place, thread)
    other = _access(scene, addresses.near(scene.rng, place), thread)
    return [*_mode(scene, place, thread), *([one, other] * scene.rng.choice((2, 4, 6)))]


def other_root(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A vCPU uses the same gfn with another root: SMM, guest mode, or after a reload."""
    place = scene.place()
    thread = scene.thread(OPS[Kind.SMM])
    mode = scene.rng.choice((Kind.SMM, Kind.GUEST_MODE))
    ops = [Op(mode, thread, _ON), _access(scene, place, thread)]
    if scene.rng.random() < 0.5:
        ops.append(scene.op(scene.rng.choice(kinds), place))
    return [*ops, Op(mode, thread, _OFF), _access(scene, place, thread)]


def tracked(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Writes to a page are tracked, from here or from SMM, while it is used from both."""
    rng = scene.rng
    place = scene.place()
    thread = scene.thread(OPS[Kind.SMM])
    track = _vmm(Kind.TRACK_ADD, rng.choice((place.as_id, place.as_id, 0, 1)), place.gfn)
    ops = [track, _access(scene, place, thread)]
    if rng.random() < 0.5:
        ops.reverse()
    if rng.random() < 0.5:
        ops += [Op(Kind.SMM, thread, (rng.randrange(2),)), _access(scene, place, thread)]
    if rng.random() < 0.3:
        ops.append(track._replace(kind=Kind.TRACK_REMOVE))
    return [*ops, *_later(scene, kinds, place, thread)]


def fill_hole(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """MMIO where no slot is, in SMM or not, then a slot is put there, and the access repeated."""
    rng = scene.rng
    gfn = addresses.outside(rng, scene.config).gfn
    thread = scene.thread(OPS[Kind.SMM])
    as_id = rng.choice((0, 0, 0, 1))
    mode = [Op(Kind.SMM, thread, (as_id,))] if as_id or rng.random() < 0.2 else []
    access = Op(rng.choice(_ACCESSES), thread, (gfn,))
    pages = min(rng.choice((1, 2, _BLOCK)), GFN_LIMIT - gfn)
    page = gfn % (AREA_PAGES - _BLOCK)
    where = (gfn, pages, rng.randrange(N_AREAS), page)
    ops = [*mode, access, _vmm(Kind.MEMSLOT_CREATE, rng.randrange(MAX_SLOTS), as_id, *where, 0)]
    if rng.random() < 0.6:
        place = Place(gfn, as_id, None, where[2], page)
        ops += [scene.op(rng.choice(kinds), place) for _ in range(rng.choice((1, 1, 2)))]
    return [*ops, access]


def crowd(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Accesses to many 2M blocks of a slot under a low MMU page limit, then to the first again."""
    rng = scene.rng
    place = scene.place()
    if place.slot is None:
        return single(scene, kinds)
    lowest = rng.choice(_LIMITS)
    blocks = min(rng.choice((4, 8, 24)) if lowest < 64 else 70, place.slot.npages // _BLOCK)
    places = [addresses.inside(place.slot, block * _BLOCK) for block in range(blocks)]
    limit = _vmm(Kind.MMU_PAGES, lowest)
    accesses = [_access(scene, where) for where in places]
    if rng.random() < 0.5:
        return [limit, *accesses, _access(scene, place)]
    return [*accesses, limit, _access(scene, place)]


PHRASES: Final[tuple[tuple[Phrase, frozenset[Kind], int], ...]] = (
    (single, frozenset(), 40),
    (access_twice, frozenset(), 15),
    (parked, frozenset({Kind.BEGIN_FAULT}), 15),
    (dirty_log, frozenset({Kind.MEMSLOT_FLAGS, Kind.DIRTY_GET}), 8),
    (replace_slot, frozenset({Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE}), 6),
    (huge_page, frozenset({Kind.THP_COLLAPSE}), 6),
    (execute_huge, frozenset({Kind.NX_RECOVER}), 4),
    (by_turns, frozenset(), 3),
    (aged, frozenset({Kind.AGE}), 4),
    (other_root, frozenset({Kind.SMM}), 4),
    (tracked, frozenset({Kind.TRACK_ADD}), 4),
    (fill_hole, frozenset({Kind.MEMSLOT_CREATE}), 4),
    (crowd, frozenset({Kind.MMU_PAGES}), 2),
)
"""Each phrase, the kinds that must all be in a program's selection for it, and its weight."""


def _access(scene: Scene, place: Place, thread: int | None = None) -> Op:
    return scene.op(scene.rng.choice(_ACCESSES), place, thread)


def _mode(scene: Scene, place: Place, thread: int) -> list[Op]:
    """The vCPU enters SMM for a place that is only there, or leaves it now and then."""
    if place.as_id:
        return [Op(Kind.SMM, thread, _ON)]
    if scene.rng.random() < 0.2 and any(slot.as_id for slot in scene.config.slots):
        return [Op(Kind.SMM, thread, _OFF)]
    return []


def _later(
    scene: Scene, kinds: Sequence[Kind], place: Place, thread: int | None = None
) -> list[Op]:
    """The place used once more, perhaps after the host did something to it."""
    ops: list[Op] = []
    if scene.rng.random() < 0.5:
        changes = [kind for kind in kinds if OPS[kind].threads == HOST_THREADS]
        ops.append(scene.op(scene.rng.choice(changes or [Kind.DONTNEED]), place))
    return [*ops, _access(scene, place, thread)]


def _vmm(kind: Kind, *args: int) -> Op:
    return Op(kind, OPS[kind].threads[0], args)


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
