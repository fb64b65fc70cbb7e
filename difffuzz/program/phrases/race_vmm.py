# SPDX-License-Identifier: GPL-2.0-only
"""Races of user space with itself: its other thread, the host's administrator, a device model."""

from __future__ import annotations

from typing import Final

from ..addresses import Place
from ..limits import VMM_THREAD, WORKER_THREAD
from ..model import DIRTY_LOG, Op, SlotSpec
from ..op_maker import OpMaker
from ..ops import Kind
from .parts import SYNC, take, vmm
from .race_tables import use

BESIDE: Final = (
    *(Kind.NX,) * 3,
    *(Kind.DIRTY_GET,) * 2,
    *(Kind.DIRTY_CLEAR,) * 2,
    *(Kind.MMU_PAGES,) * 2,
    Kind.TRACK_ADD,
    Kind.TRACK_REMOVE,
)
"""What the second thread does: a sysfs write, a migration, a limit, a device that tracks writes."""


def beside(maker: OpMaker, place: Place) -> Op:
    """An operation of the second thread at the place; `nx` mostly changes what is set."""
    kind = maker.rng.choice(BESIDE)
    if kind is Kind.NX and maker.rng.random() < 0.8:
        return Op(kind, WORKER_THREAD, (int(not maker.config.nx),))
    return maker.op(kind, place, WORKER_THREAD)


def two_threads(maker: OpMaker, place: Place, slot: SlotSpec) -> list[Op]:
    """Pages of the slot are used; then both threads of the VMM change what is about it at once.

    Guests may use it meanwhile, and do so when all is over; the host takes a page before.
    """
    rng = maker.rng
    name = slot.slot, slot.as_id
    used = [use(maker, place) for _ in range(rng.choice((1, 2, 2, 3)))]
    ops = [*used, SYNC]
    others = [one for one in maker.config.slots if one != slot] or [slot]
    match rng.randrange(4):
        case 0:
            gone = rng.choice(others)
            ops.append(vmm(Kind.MEMSLOT_DELETE, gone.slot, gone.as_id))
            if rng.random() < 0.4:
                ops.append(vmm(Kind.MEMSLOT_CREATE, *gone))
        case 1:
            ops.append(vmm(Kind.MEMSLOT_FLAGS, *name, slot.flags ^ DIRTY_LOG))
        case 2:
            ops.append(maker.op(Kind.MEMSLOT_MOVE, place))
        case _:
            ops.append(maker.op(rng.choice(BESIDE), place, VMM_THREAD))
    ops += [beside(maker, place) for _ in range(rng.choice((1, 1, 2)))]
    if rng.random() < 0.5:
        ops.append(use(maker, place))
    ops.append(SYNC)
    if rng.random() < 0.5:
        ops += [take(maker, place), SYNC]
    return [*ops, rng.choice(used), SYNC]
