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
from .limits import MAX_SLOTS
from .model import DIRTY_LOG, Op, SlotSpec
from .ops import OPS, Kind
from .scene import Scene

_BLOCK: Final = 512
_ACCESSES: Final = (Kind.READ, Kind.WRITE, Kind.WRITE, Kind.EXEC)
_ON: Final = (1,)
_OFF: Final = (0,)

Phrase = Callable[[Scene, Sequence[Kind]], list[Op]]


def single(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """One operation."""
    return [scene.op(scene.rng.choice(kinds))]


def access_twice(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """An access, something in between at the same place, another access."""
    place = scene.place()
    between = [scene.op(scene.rng.choice(kinds), place) for _ in range(scene.rng.randrange(1, 3))]
    return [_access(scene, place), *between, _access(scene, place)]


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
    ops = [begin, *between, Op(Kind.END_FAULT, begin.thread)]
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
    ops = []
    if rng.random() < 0.5:
        ops.append(_access(scene, place))
    ops.append(_vmm(Kind.MEMSLOT_FLAGS, *name, DIRTY_LOG))
    ops += [scene.op(Kind.WRITE, place), _vmm(Kind.DIRTY_GET, *name)]
    if rng.random() < 0.5:
        ops.append(scene.op(Kind.DIRTY_CLEAR, place))
    ops.append(scene.op(Kind.WRITE, place))
    if rng.random() < 0.4:
        ops += [_vmm(Kind.MEMSLOT_FLAGS, *name, 0), _access(scene, place)]
    else:
        ops.append(_vmm(Kind.DIRTY_GET, *name))
    return ops


def replace_slot(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A slot used, deleted, created again (the same or elsewhere), and used."""
    place = scene.place()
    slot = place.slot
    if slot is None:
        return single(scene, kinds)
    again = _vary(scene.rng, slot)
    ops = [_access(scene, place), _vmm(Kind.MEMSLOT_DELETE, slot.slot, slot.as_id)]
    if scene.rng.random() < 0.4:
        ops.append(_access(scene, place))
    ops += [_vmm(Kind.MEMSLOT_CREATE, *again), _access(scene, place)]
    return ops


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
    """A huge page executed under the NX mitigation, which splits it, and recovered."""
    place = scene.place()
    switch = [Op(Kind.NX, OPS[Kind.NX].threads[0], _ON)] if scene.rng.random() < 0.5 else []
    recover = Op(Kind.NX_RECOVER, OPS[Kind.NX_RECOVER].threads[0])
    return [*switch, _access(scene, place), scene.op(Kind.EXEC, place), recover]


def other_root(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A vCPU uses the same gfn with another root: SMM, guest mode, or after a reload."""
    place = scene.place()
    thread = scene.thread(OPS[Kind.SMM])
    mode = scene.rng.choice((Kind.SMM, Kind.GUEST_MODE))
    ops = [Op(mode, thread, _ON), _access(scene, place, thread)]
    if scene.rng.random() < 0.5:
        ops.append(scene.op(scene.rng.choice(kinds), place))
    return [*ops, Op(mode, thread, _OFF), _access(scene, place, thread)]


def crowd(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """Accesses to many 2M blocks of a slot under a low MMU page limit, then to the first again."""
    rng = scene.rng
    place = scene.place()
    if place.slot is None:
        return single(scene, kinds)
    blocks = min(rng.choice((8, 24, 70)), place.slot.npages // _BLOCK)
    places = [addresses.inside(place.slot, block * _BLOCK) for block in range(blocks)]
    limit = _vmm(Kind.MMU_PAGES, rng.choice((64, 65, 70)))
    return [limit, *(_access(scene, where) for where in (*places, place))]


PHRASES: Final[tuple[tuple[Phrase, frozenset[Kind], int], ...]] = (
    (single, frozenset(), 40),
    (access_twice, frozenset(), 15),
    (parked, frozenset({Kind.BEGIN_FAULT}), 15),
    (dirty_log, frozenset({Kind.MEMSLOT_FLAGS, Kind.DIRTY_GET}), 8),
    (replace_slot, frozenset({Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE}), 6),
    (huge_page, frozenset({Kind.THP_COLLAPSE}), 6),
    (execute_huge, frozenset({Kind.NX_RECOVER}), 4),
    (other_root, frozenset({Kind.SMM}), 4),
    (crowd, frozenset({Kind.MMU_PAGES}), 1),
)
"""Each phrase, the kinds that must all be in a program's selection for it, and its weight."""


def _access(scene: Scene, place: Place, thread: int | None = None) -> Op:
    return scene.op(scene.rng.choice(_ACCESSES), place, thread)


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
