# SPDX-License-Identifier: GPL-2.0-only
"""What phrases are made of: an access, a host change, a vCPU's mode, an ioctl."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..addresses import Place
from ..limits import HOST_THREADS, VMM_THREAD
from ..model import Op
from ..op_maker import OpMaker
from ..ops import OPS, Kind

_ACCESSES: Final = (Kind.READ, Kind.WRITE, Kind.WRITE, Kind.EXEC)
_TAKES: Final = (
    *(Kind.DONTNEED,) * 4,
    *(Kind.MUNMAP, Kind.MIGRATE, Kind.SWAP_OUT) * 2,
    Kind.PAGEOUT,
    Kind.MREMAP,
)
_BLOCK: Final = 512
SYNC: Final = Op(Kind.SYNC, VMM_THREAD)
ON: Final = (1,)
OFF: Final = (0,)


def access(maker: OpMaker, place: Place, thread: int | None = None) -> Op:
    """A guest access at the place."""
    return maker.op(maker.rng.choice(_ACCESSES), place, thread)


def vcpu(maker: OpMaker) -> int:
    """The thread of one of the vCPUs."""
    return maker.thread(OPS[Kind.WRITE])


def vmm(kind: Kind, *args: int) -> Op:
    """An operation of the VMM's thread."""
    return Op(kind, OPS[kind].threads[0], args)


def mode(maker: OpMaker, place: Place, thread: int) -> list[Op]:
    """The vCPU enters SMM for a place that is only there, or leaves it now and then."""
    if place.as_id:
        return [Op(Kind.SMM, thread, ON)]
    if maker.rng.random() < 0.2 and any(slot.as_id for slot in maker.config.slots):
        return [Op(Kind.SMM, thread, OFF)]
    return []


def take(maker: OpMaker, place: Place) -> Op:
    """The host takes the page back or replaces it."""
    return maker.op(maker.rng.choice(_TAKES), place)


def clean(maker: OpMaker, place: Place) -> Op:
    """The host makes the page clean, by what does so to memory of its kind, or one block."""
    file = maker.config.areas[place.area] == "file"
    kind = Kind.WRITEBACK if file else Kind.LAZY_FREE
    return Op(kind, HOST_THREADS[0], _around(maker, place))


def reclaim(maker: OpMaker, place: Place) -> Op:
    """The host reclaims the page, or its block of 2M."""
    kind = maker.rng.choice((Kind.SWAP_OUT, Kind.SWAP_OUT, Kind.PAGEOUT))
    return Op(kind, HOST_THREADS[0], _around(maker, place))


def _around(maker: OpMaker, place: Place) -> tuple[int, int, int]:
    """The page or its block: area, page, n."""
    if maker.rng.random() < 0.5:
        return place.area, place.page, 1
    return place.area, place.page & -_BLOCK, _BLOCK


def later(
    maker: OpMaker, kinds: Sequence[Kind], place: Place, thread: int | None = None
) -> list[Op]:
    """The place used once more, perhaps after the host did something to it."""
    ops: list[Op] = []
    if maker.rng.random() < 0.5:
        changes = [kind for kind in kinds if OPS[kind].threads == HOST_THREADS]
        ops.append(maker.op(maker.rng.choice(changes or [Kind.DONTNEED]), place))
    return [*ops, access(maker, place, thread)]
