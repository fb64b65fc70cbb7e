# SPDX-License-Identifier: GPL-2.0-only
"""Phrases about a gfn that is mapped through several roots: SMM, guest mode, cached ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..addresses import Place
from ..model import DIRTY_LOG, Op
from ..ops import Kind
from ..scene import Scene
from .parts import OFF, ON, access, take, vcpu, vmm

_NESTED: Final = 0.7
"""How often the other root is one of guest mode, which has the same memslots."""
_EVERYWHERE: Final = (
    Kind.AGE, Kind.AGE, Kind.TRACK_ADD, Kind.DIRTY_GET, Kind.DIRTY_CLEAR, Kind.ZAP_GFN_RANGE,
)  # fmt: skip
"""What is done to a page in every root."""


def other_root(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A vCPU uses the same gfn with another root: SMM, guest mode, or after a reload."""
    place = scene.place()
    thread = vcpu(scene)
    root = scene.rng.choice((Kind.SMM, Kind.GUEST_MODE))
    ops = [Op(root, thread, ON), access(scene, place, thread)]
    if scene.rng.random() < 0.5:
        ops.append(scene.op(scene.rng.choice(kinds), place))
    return [*ops, Op(root, thread, OFF), access(scene, place, thread)]


def two_roots(scene: Scene, kinds: Sequence[Kind]) -> list[Op]:
    """A page used through two roots, then something is done to it in all roots, or to its slot;
    it is used again through one or both, and what the host or the log knows of it is asked for."""
    rng = scene.rng
    place = scene.place()
    thread = vcpu(scene)
    other = Kind.GUEST_MODE if rng.random() < _NESTED else Kind.SMM
    used = [access(scene, place, thread) for _ in range(2)]
    if rng.random() < 0.6:
        used = [op._replace(kind=Kind.WRITE) for op in used]
    change = _in_all_roots(scene, place)
    ops = [used[0], Op(other, thread, ON), used[1], change]
    if change.kind is Kind.AGE and rng.random() < 0.5:
        return [*ops, scene.op(Kind.TEST_AGE, place)]  # nobody touched it since
    if rng.random() < 0.7:
        ops.append(Op(other, thread, OFF))
    again = access(scene, place, thread)
    ops.append(again._replace(kind=Kind.WRITE) if rng.random() < 0.6 else again)
    if rng.random() < 0.5:
        ops.append(scene.op(rng.choice((Kind.DIRTY_GET, Kind.TEST_AGE)), place))
    return ops


def _in_all_roots(scene: Scene, place: Place) -> Op:
    """What has to find a page wherever it is mapped."""
    rng = scene.rng
    slot = place.slot
    way = rng.random()
    if slot is not None and way < 0.4:
        return vmm(Kind.MEMSLOT_FLAGS, slot.slot, slot.as_id, slot.flags ^ DIRTY_LOG)
    if way < 0.9:
        return scene.op(rng.choice(_EVERYWHERE), place)
    return take(scene, place)
