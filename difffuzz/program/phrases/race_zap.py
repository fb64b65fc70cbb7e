# SPDX-License-Identifier: GPL-2.0-only
"""Races about zaps that let others have mmu_lock halfway, and about roots without a user."""

from __future__ import annotations

from typing import Final

from .. import addresses
from ..addresses import Place
from ..limits import HOST_THREADS
from ..model import DIRTY_LOG, Op, SlotSpec
from ..op_maker import OpMaker
from ..ops import Kind
from .parts import OFF, ON, SYNC, access, vcpu, vmm

_2M: Final = 512
_MANY: Final = (4, 6, 8, 12)
"""Pages that are mapped, and zapped in one go."""
_STEPS: Final = (1, 2, 3, 0x40)
"""Between two of them, in one table."""
_NOTIFIERS: Final = (*(Kind.DONTNEED,) * 3, *(Kind.MIGRATE,) * 2, *(Kind.AGE,) * 2, Kind.COW_WRITE)
"""What asks for mmu_lock meanwhile, and is about one page."""


def halfway(maker: OpMaker, place: Place, slot: SlotSpec) -> list[Op]:
    """Many pages are zapped in one go, while the host takes one of them, or a vCPU maps one.

    Whoever zaps lets the other have mmu_lock when some of them are gone, and others are not.  When
    all is over the pages are used again: what a TLB kept shows then.
    """
    rng = maker.rng
    ops, pages = _spread(maker, place, slot)
    used = [access(maker, page) for page in pages]
    ops += [*used, SYNC, _zap(maker, slot)]
    for number in range(rng.choice((1, 1, 2))):
        # What comes last is zapped last, mostly: the notifier is there before.
        page = rng.choice(pages[len(pages) // 2 :])
        if number == 0 and rng.random() < 0.75:
            kind = rng.choice(_NOTIFIERS)
            args = maker.op(kind, page).args
            if kind in (Kind.DONTNEED, Kind.AGE):
                args = (page.area, page.page, 1, *args[3:])
            ops.append(Op(kind, HOST_THREADS[1], args))
        else:
            ops.append(access(maker, page))
    return [*ops, SYNC, *rng.sample(used, min(len(used), 3))]


def _spread(maker: OpMaker, place: Place, slot: SlotSpec) -> tuple[list[Op], list[Place]]:
    """Pages with an SPTE of their own: of several regions of 2M, or small ones of one table, which
    are so because the slot logs."""
    rng = maker.rng
    count = rng.choice(_MANY)
    regions = slot.npages // _2M
    first = place.gfn - slot.gfn
    if regions >= 3 and rng.random() < 0.5:
        offsets = [(first + n * _2M) % slot.npages for n in range(min(count, regions))]
        return [], [addresses.inside(slot, offset) for offset in sorted(offsets)]
    ops: list[Op] = []
    if not slot.flags & DIRTY_LOG and maker.config.max_level > 1:
        ops = [vmm(Kind.MEMSLOT_FLAGS, slot.slot, slot.as_id, slot.flags | DIRTY_LOG), SYNC]
    step = rng.choice(_STEPS)
    offsets = sorted({(first + n * step) % slot.npages for n in range(count)})
    return ops, [addresses.inside(slot, offset) for offset in offsets]


def _zap(maker: OpMaker, slot: SlotSpec) -> Op:
    """What zaps all pages of the slot, or of the VM."""
    rng = maker.rng
    way = rng.random()
    if way < 0.55:
        return vmm(Kind.ZAP_GFN_RANGE, slot.gfn, slot.npages)
    if way < 0.8:
        return Op(Kind.DONTNEED, HOST_THREADS[0], (slot.area, slot.page, slot.npages))
    if way < 0.9:
        return vmm(Kind.MEMSLOT_DELETE, slot.slot, slot.as_id)
    return vmm(Kind.NX, int(not maker.config.nx))


def leaving(maker: OpMaker, place: Place, slot: SlotSpec) -> list[Op]:
    """A vCPU leaves L2 and drops its roots; that of L2 has no user then.

    Meanwhile the host takes or ages a page that it maps, logging goes on or off, or all is zapped;
    another vCPU may come to use the root.
    """
    rng = maker.rng
    ops, pages = _spread(maker, place, slot)
    pages = pages[:3]
    thread = vcpu(maker)
    entered = Op(Kind.GUEST_MODE, thread, ON)
    used = [access(maker, page, thread) for page in pages]
    ops += [entered, *used]
    if rng.random() < 0.5:
        ops += [Op(Kind.GUEST_MODE, thread, OFF), SYNC]
    else:
        ops += [SYNC, Op(Kind.GUEST_MODE, thread, OFF)]
    ops.append(Op(Kind.RELOAD, thread))
    page = rng.choice(pages)
    way = rng.random()
    if way < 0.4:
        ops.append(Op(Kind.DONTNEED, HOST_THREADS[0], (page.area, page.page, 1)))
    elif way < 0.55:
        ops.append(maker.op(Kind.AGE, page, HOST_THREADS[0]))
    elif way < 0.7:
        ops.append(vmm(Kind.MEMSLOT_FLAGS, slot.slot, slot.as_id, slot.flags ^ DIRTY_LOG))
    else:
        ops.append(_zap(maker, slot))
    if maker.config.vcpus > 1 and rng.random() < 0.6:
        other = (thread + 1) % maker.config.vcpus
        ops += [Op(Kind.GUEST_MODE, other, ON), access(maker, page, other)]
    else:
        ops += [entered, rng.choice(used)]
    return [*ops, SYNC, entered, rng.choice(used), Op(Kind.GUEST_MODE, thread, OFF), SYNC]
