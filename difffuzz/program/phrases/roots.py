# SPDX-License-Identifier: GPL-2.0-only
"""Phrases about a gfn that is mapped through several roots: SMM, guest mode, cached ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .. import addresses
from ..addresses import Place
from ..limits import HOST_THREADS, MAX_SLOTS
from ..model import DIRTY_LOG, Op, SlotSpec
from ..op_maker import OpMaker
from ..ops import Kind
from .parts import OFF, ON, access, take, vcpu, vmm
from .race_tables import protect

_NESTED: Final = 0.7
"""How often the other root is one of guest mode, which has the same memslots."""
_EVERYWHERE: Final = (
    Kind.AGE, Kind.AGE, Kind.TRACK_ADD, Kind.DIRTY_GET, Kind.DIRTY_CLEAR, Kind.ZAP_GFN_RANGE,
)  # fmt: skip
"""What is done to a page in every root."""
_FAR_APART: Final = 0.15
"""How often a root has another page of the block than the one before."""
_ALONE: Final = 0.75
"""How often nobody else has used the L2's root that a vCPU leaves."""


def other_root(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A vCPU uses the same gfn with another root: SMM, guest mode, or after a reload."""
    place = maker.place()
    thread = vcpu(maker)
    root = maker.rng.choice((Kind.SMM, Kind.GUEST_MODE))
    ops = [Op(root, thread, ON), access(maker, place, thread)]
    if maker.rng.random() < 0.5:
        ops.append(maker.op(maker.rng.choice(kinds), place))
    return [*ops, Op(root, thread, OFF), access(maker, place, thread)]


def two_roots(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A page used through two roots, then something is done to it in all roots, or to its slot;
    it is used again through one or both, and what the host or the log knows of it is asked for."""
    rng = maker.rng
    place = maker.place()
    thread = vcpu(maker)
    other = Kind.GUEST_MODE if rng.random() < _NESTED else Kind.SMM
    used = [access(maker, place, thread) for _ in range(2)]
    if rng.random() < 0.6:
        used = [op._replace(kind=Kind.WRITE) for op in used]
    change = _in_all_roots(maker, place)
    ops = [used[0], Op(other, thread, ON), used[1], change]
    if change.kind is Kind.AGE and rng.random() < 0.5:
        return [*ops, maker.op(Kind.TEST_AGE, place)]  # nobody touched it since
    if rng.random() < 0.7:
        ops.append(Op(other, thread, OFF))
    again = access(maker, place, thread)
    ops.append(again._replace(kind=Kind.WRITE) if rng.random() < 0.6 else again)
    if rng.random() < 0.5:
        ops.append(maker.op(rng.choice((Kind.DIRTY_GET, Kind.TEST_AGE)), place))
    return ops


def several_states(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A page in the roots of L1, of L2 and, with a second vCPU, of SMM, in another state in each;
    then something is done to it in all of them, and it is used again through one or two.

    SMM has the same memory: its slot is made if there is none.
    """
    rng = maker.rng
    place = maker.place()
    slot = place.slot
    if slot is None:
        return two_roots(maker, kinds)
    ops: list[Op] = []
    if not slot.flags & DIRTY_LOG and rng.random() < 0.3:
        slot = slot._replace(flags=slot.flags | DIRTY_LOG)
        ops.append(vmm(Kind.MEMSLOT_FLAGS, slot.slot, slot.as_id, slot.flags))
        place = place._replace(slot=slot)
    users = _users(maker, place)
    if any(modes[0] != place.as_id for _, modes in users):
        ops.append(vmm(Kind.MEMSLOT_CREATE, *_elsewhere(maker, slot)))
    rng.shuffle(users)
    used: list[list[Op]] = []
    for number, (thread, modes) in enumerate(users):
        where = addresses.near(rng, place) if rng.random() < _FAR_APART else place
        used.append([*_in_modes(thread, modes), access(maker, where, thread)])
        ops += used[-1]
        if number + 1 < len(users) and rng.random() < 0.8:
            if slot.flags & DIRTY_LOG and rng.random() < 0.6:
                ops[-1] = ops[-1]._replace(kind=Kind.WRITE)
                ops += protect(maker, slot)
            else:
                ops.append(_aged(maker, place))
    way = rng.random()
    if way < 0.25:
        ops.append(vmm(Kind.TRACK_ADD, place.as_id, place.gfn))
    else:
        ops.append(_aged(maker, place) if way < 0.4 else _in_all_roots(maker, place))
    for again in rng.sample(used, rng.choice((1, 1, 2))):
        ops += again
        if rng.random() < 0.5:
            ops[-1] = ops[-1]._replace(kind=Kind.WRITE)
    if rng.random() < 0.5:
        ops.append(maker.op(rng.choice((Kind.DIRTY_GET, Kind.TEST_AGE)), place))
    return ops


def last_user(maker: OpMaker, kinds: Sequence[Kind]) -> list[Op]:
    """A page of an L2, whose vCPU leaves it and drops its roots: that one may have no user left.

    Something is done to the page, or to its slot, before or after; then L1, or L2, uses it again.
    """
    rng = maker.rng
    place = maker.place()
    thread = vcpu(maker)
    users = [thread]
    if rng.random() > _ALONE and maker.config.vcpus > 1:
        users.append((thread + 1) % maker.config.vcpus)
    ops: list[Op] = []
    for user in users:
        ops += [Op(Kind.GUEST_MODE, user, ON), access(maker, place, user)]
        if rng.random() < 0.3:
            ops.append(access(maker, addresses.near(rng, place), user))
    for user in users:
        ops.append(Op(Kind.GUEST_MODE, user, OFF))
        if rng.random() < 0.5:
            ops.append(access(maker, place, user))
    before = rng.random() < 0.3
    if before:
        ops.append(_in_all_roots(maker, place))
    ops += [Op(Kind.RELOAD, user) for user in users]
    if not before or rng.random() < 0.3:
        ops.append(_in_all_roots(maker, place))
    if rng.random() < 0.7:
        ops.append(Op(Kind.GUEST_MODE, thread, ON))
    ops.append(access(maker, place, thread))
    if rng.random() < 0.4:
        ops.append(maker.op(rng.choice((Kind.DIRTY_GET, Kind.TEST_AGE, *kinds)), place))
    return [*ops, Op(Kind.GUEST_MODE, thread, OFF)]


def _users(maker: OpMaker, place: Place) -> list[tuple[int, tuple[int, int]]]:
    """(vCPU, (in SMM, in L2)) of each root: whoever enters or leaves SMM loses the others."""
    thread = vcpu(maker)
    smm = place.as_id
    users = [(thread, (smm, 0)), (thread, (smm, 1))]
    if maker.config.vcpus > 1:
        other = (thread + 1) % maker.config.vcpus
        # Its root may have another number of levels.
        alike = maker.config.four_levels and maker.rng.random() < 0.5
        users.append((other, (smm if alike else 1 - smm, maker.rng.choice((0, 0, 1)))))
    return users


def _in_modes(thread: int, modes: tuple[int, int]) -> list[Op]:
    smm, l2 = modes
    return [Op(Kind.SMM, thread, (smm,)), Op(Kind.GUEST_MODE, thread, (l2,))]


def _elsewhere(maker: OpMaker, slot: SlotSpec) -> SlotSpec:
    """The slot in the other address space, under an id that is free there if one is."""
    as_id = 1 - slot.as_id
    taken = {one.slot for one in maker.config.slots if one.as_id == as_id}
    free = [number for number in range(MAX_SLOTS) if number not in taken] or [slot.slot]
    return slot._replace(slot=free[0], as_id=as_id)


def _aged(maker: OpMaker, place: Place) -> Op:
    """The host clears the accessed bits of the page alone."""
    return Op(Kind.AGE, HOST_THREADS[0], (place.area, place.page, 1, maker.rng.randrange(2)))


def _in_all_roots(maker: OpMaker, place: Place) -> Op:
    """What has to find a page wherever it is mapped."""
    rng = maker.rng
    slot = place.slot
    way = rng.random()
    if slot is not None and way < 0.4:
        return vmm(Kind.MEMSLOT_FLAGS, slot.slot, slot.as_id, slot.flags ^ DIRTY_LOG)
    if way < 0.9:
        return maker.op(rng.choice(_EVERYWHERE), place)
    return take(maker, place)
