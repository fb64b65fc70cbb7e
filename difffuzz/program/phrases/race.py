# SPDX-License-Identifier: GPL-2.0-only
"""The phrase of concurrent programs: a setup, a meeting, then several threads at one page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .. import addresses
from ..addresses import Place
from ..limits import (
    HOST_THREADS,
    LOW_GFNS,
    MAX_SLOTS,
    N_AREAS,
    WORKER_THREAD,
)
from ..model import DIRTY_LOG, Op, SlotSpec
from ..op_maker import OpMaker, place_of
from ..ops import Kind
from .parts import SYNC, access, take, vcpu, vmm
from .race_tables import AGAIN, cleaning, collapsing, protect, recovering, splitting, sweeping, use
from .race_vmm import beside, two_threads
from .race_zap import halfway, leaving

_USUAL: Final = 0.8
_HOLES: Final = 0.2
"""How often a usual race is about a new slot, not about logging or tables."""
_TAKEN: Final = 0.3
"""How often a page of a race about a slot is taken by the host after it, and used again."""
_ROOTED: Final = 0.5
"""How often all vCPUs have used the first page before the race."""
_ACCESSES: Final = (Kind.READ, Kind.WRITE, Kind.EXEC)
_PREFAULTS: Final = 0.1
"""How often a vCPU of such a race has a page faulted in beforehand."""
_SAME: Final = 0.7
"""How often a racing operation is about the very page, not about one near it."""
_HOST: Final = (
    *(Kind.DONTNEED,) * 3,
    Kind.MUNMAP,
    Kind.MIGRATE,
    Kind.MPROTECT,
    Kind.COW_WRITE,
    Kind.THP_SPLIT,
    Kind.THP_COLLAPSE,
    Kind.SWAP_OUT,
    Kind.KSM_MERGE,
    Kind.LAZY_FREE,
    Kind.WRITEBACK,
    Kind.PAGEOUT,
    Kind.COLLAPSE,
    Kind.PUNCH_HOLE,
    Kind.MREMAP,
    Kind.UFFD,
    *(Kind.AGE,) * 2,
)
_VMM: Final = (
    *(Kind.ZAP_GFN_RANGE,) * 3,
    *(Kind.MEMSLOT_FLAGS,) * 3,
    *(Kind.DIRTY_GET,) * 2,
    Kind.DIRTY_CLEAR,
    *(Kind.NX,) * 2,
    Kind.TRACK_ADD,
    Kind.TRACK_REMOVE,
    Kind.MMU_PAGES,
    Kind.MEMSLOT_MOVE,
)
_PREPARES: Final = (Kind.MEMSLOT_FLAGS, Kind.THP_SPLIT, Kind.FORK, Kind.TRACK_ADD, Kind.NX)


def race(maker: OpMaker) -> list[Op]:
    """A race about anything, or one that real machines run all the time.

    It is seldom about a place that is only in SMM, since no vCPU is there.
    """
    place = maker.place()
    for _ in range(2):
        if place.as_id:
            place = maker.place()
    if maker.rng.random() >= _USUAL:
        about = "anything"
        ops = _anything(maker, place)
    elif place.slot is None or maker.rng.random() < _HOLES:
        about = "new_slot"
        ops = new_slot(maker)
    else:
        make = maker.rng.choice(_ABOUT_SLOTS)
        about = make.__name__
        ops = make(maker, place, place.slot)
        if maker.rng.random() < _TAKEN:
            ops += _taken_and_used(maker, ops)
    maker.used.append(f"race:{about}")
    return _rooted(maker, ops) if maker.rng.random() < _ROOTED else ops


def _taken_and_used(maker: OpMaker, ops: list[Op]) -> list[Op]:
    """The host takes a page of the race, and who used it does so again: a TLB that was not flushed
    when its SPTE went still has it."""
    used = [op for op in ops if op.kind in _ACCESSES] or [SYNC]
    # What was used first is often what goes first.
    again = used[0] if maker.rng.random() < 0.5 else maker.rng.choice(used)
    place = place_of(again, maker.config)
    if place is None:
        return []
    return [Op(Kind.DONTNEED, HOST_THREADS[0], (place.area, place.page, 1)), SYNC, again]


def _rooted(maker: OpMaker, ops: list[Op]) -> list[Op]:
    """The first access before the race is made by all vCPUs: who has no root takes mmu_lock for
    write to make one, and meets nobody."""
    first = next((at for at, op in enumerate(ops) if op.kind in _ACCESSES), len(ops))
    if SYNC not in ops[first:-1]:
        return ops
    others = set(range(maker.config.vcpus)) - {ops[first].thread}
    return [
        *ops[: first + 1],
        *(ops[first]._replace(thread=thread) for thread in sorted(others)),
        *ops[first + 1 :],
    ]


def _anything(maker: OpMaker, place: Place) -> list[Op]:
    """Mappings are made, all threads meet, then two or three do something to the same page.

    When all is over some of the first accesses are made again: what a TLB kept shows then.
    """
    rng = maker.rng
    count = rng.choice((0, 1, 2, 2, 4))
    ops = [access(maker, near(maker, place), vcpu(maker)) for _ in range(count)]
    again = rng.sample(ops, min(len(ops), rng.choice((0, 1, 2))))
    if rng.random() < 0.3:
        ops.insert(rng.randrange(len(ops) + 1), maker.op(rng.choice(_PREPARES), place))
    if ops:
        ops.append(SYNC)
    actors = rng.sample(_ACTORS, rng.choice((2, 2, 3)))
    for number in range(rng.choice((1, 1, 2))):
        for actor in actors:
            if not number or rng.random() < 0.7:
                ops += actor(maker, place)
    return [*ops, SYNC, *again]


def logging(maker: OpMaker, place: Place, slot: SlotSpec) -> list[Op]:
    """Logging goes on or off under guests that use pages of the slot, as in a live migration.

    The host may age a page meanwhile, or the NX worker recover one.
    """
    rng = maker.rng
    name = slot.slot, slot.as_id
    logged = slot.flags | DIRTY_LOG if rng.random() < 0.7 else slot.flags & ~DIRTY_LOG
    ops: list[Op] = []
    if logged != slot.flags:
        ops.append(vmm(Kind.MEMSLOT_FLAGS, *name, logged))
    protected = logged & DIRTY_LOG and rng.random() < 0.5
    count = rng.choice((1, 1, 2) if protected else (0, 1, 1, 2))
    used = [use(maker, near(maker, place)) for _ in range(count)]
    if not protected:
        ops += used
    else:  # what was written is write-protected then
        used = [op._replace(kind=Kind.WRITE) for op in used]
        ops += [*used, SYNC, *protect(maker, slot)]
    if ops:
        ops.append(SYNC)
    for thread in range(min(maker.config.vcpus, rng.choice((1, 1, 2)))):
        if used and rng.random() < AGAIN:
            ops.append(rng.choice(used)._replace(thread=thread))
        else:
            ops.append(use(maker, near(maker, place), thread))
    if rng.random() < 0.75:
        ops.append(vmm(Kind.MEMSLOT_FLAGS, *name, logged ^ DIRTY_LOG))
    else:
        ops.append(maker.op(rng.choice((Kind.DIRTY_GET, Kind.DIRTY_CLEAR)), place))
    if rng.random() < 0.25:
        ops += rng.choice((_aging, _worker))(maker, place)
    return [*ops, SYNC]


def marking(maker: OpMaker, place: Place, slot: SlotSpec) -> list[Op]:
    """Pages of one word of the log are written again while the log is read or cleared.

    They were written, and write-protected, before: the fast path makes them writable."""
    rng = maker.rng
    name = slot.slot, slot.as_id
    ops: list[Op] = []
    if not slot.flags & DIRTY_LOG:
        ops += [vmm(Kind.MEMSLOT_FLAGS, *name, slot.flags | DIRTY_LOG), SYNC]
    pages = [place, addresses.near(rng, place)][: rng.choice((1, 2, 2))]
    ops += [Op(Kind.WRITE, vcpu(maker), (page.gfn,)) for page in pages]
    ops += [SYNC, *protect(maker, slot), SYNC]
    if rng.random() < 0.6:
        ops += [Op(Kind.WRITE, vcpu(maker), (pages[0].gfn,)), SYNC]
    for thread in range(min(maker.config.vcpus, rng.choice((1, 1, 2)))):
        ops.append(Op(Kind.WRITE, thread, (rng.choice(pages).gfn,)))
    return [*ops, *protect(maker, slot), SYNC]


def new_slot(maker: OpMaker) -> list[Op]:
    """A slot is put where guests find MMIO, while they look; later the host takes a page back.

    Who looked before the slot was there may put MMIO in the place of what others have mapped since.
    """
    rng = maker.rng
    config = maker.config
    gfn = addresses.outside(rng, config).gfn
    pages = min(rng.choice((1, 8, 512)), LOW_GFNS - gfn)
    taken = {slot.slot for slot in config.slots if not slot.as_id}
    free = [slot for slot in range(MAX_SLOTS) if slot not in taken] or [0]
    slot = SlotSpec(rng.choice(free), 0, gfn, pages, rng.randrange(N_AREAS), 0)
    place = Place(gfn, 0, slot, slot.area, 0)
    ops: list[Op] = []
    if rng.random() < 0.25:
        ops += [access(maker, near(maker, place), vcpu(maker)), SYNC]
    used = [
        access(maker, near(maker, place), thread)
        for thread in range(config.vcpus)
        for _ in range(rng.choice((0, 1, 1, 1, 2)))
    ]
    ops += [*used, vmm(Kind.MEMSLOT_CREATE, *slot), SYNC]
    if used and rng.random() < 0.7:
        ops += [take(maker, place), SYNC, *rng.sample(used, min(len(used), 2)), SYNC]
    return ops


def near(maker: OpMaker, place: Place) -> Place:
    """The place itself, mostly, or one near it."""
    return place if maker.rng.random() < _SAME else addresses.near(maker.rng, place)


def _vcpu(number: int) -> Callable[[OpMaker, Place], list[Op]]:
    def act(maker: OpMaker, place: Place) -> list[Op]:
        thread = number % maker.config.vcpus
        if maker.rng.random() < _PREFAULTS:
            gfn = near(maker, place).gfn
            return [Op(Kind.PREFAULT, thread, (gfn, maker.rng.choice((1, 1, 2))))]
        return [access(maker, near(maker, place), thread)]

    return act


def _host(number: int) -> Callable[[OpMaker, Place], list[Op]]:
    def act(maker: OpMaker, place: Place) -> list[Op]:
        kind = maker.rng.choice(_HOST)
        return [maker.op(kind, near(maker, place), HOST_THREADS[number])]

    return act


def _ioctl(maker: OpMaker, place: Place) -> list[Op]:
    slot = place.slot
    if slot is not None and maker.rng.random() < 0.3:
        ops = [vmm(Kind.MEMSLOT_DELETE, slot.slot, slot.as_id)]
        if maker.rng.random() < 0.5:
            ops.append(vmm(Kind.MEMSLOT_CREATE, *slot))
        return ops
    return [maker.op(maker.rng.choice(_VMM), near(maker, place))]


def _aging(maker: OpMaker, place: Place) -> list[Op]:
    return [maker.op(Kind.AGE, place)]


def _worker(maker: OpMaker, place: Place) -> list[Op]:
    if maker.rng.random() < 0.5:
        return [beside(maker, near(maker, place))]
    return [Op(Kind.NX_RECOVER, WORKER_THREAD)]


_ABOUT_SLOTS: Final = (
    *(logging,) * 2,
    marking,
    *(collapsing,) * 2,
    *(recovering,) * 2,
    *(splitting,) * 2,
    *(sweeping,) * 2,
    *(two_threads,) * 4,
    *(halfway,) * 3,
    leaving,
    cleaning,
)
_ACTORS: Final = (
    _vcpu(0),
    _vcpu(0),
    _vcpu(1),
    _vcpu(1),
    _host(0),
    _host(1),
    _ioctl,
    _ioctl,
    _worker,
)
