# SPDX-License-Identifier: GPL-2.0-only
"""A program as the library plays it: struct config, then its slots, operations and switches."""

from __future__ import annotations

import ctypes
from typing import Annotated, Final

from difffuzz.program import OPS, Kind
from difffuzz.program.limits import HOST_THREADS, N_AREAS, VCPU_THREADS

from .describe import CStruct, Long, Longs, PointsTo, View, Views, described
from .limits import GAPS, VARIANTS_KEPT

OP_ARGS: Final = max(len(spec.fields) for spec in OPS.values())


def _names(kind: Kind) -> tuple[str, ...]:
    return tuple(field.name for field in OPS[kind].fields)


def _shared(name: str, like: Kind, among: list[Kind]) -> View:
    """The longs that all of these kinds have first.  TypeError: one has others."""
    longs = _names(like)
    for kind in among:
        if _names(kind)[: len(longs)] != longs:
            raise TypeError(f"{kind.name} does not begin as {like.name} does")
    return View((name,), longs)


def _views() -> Views:
    """The arguments of each kind, and what the kinds of one sort have in common."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for spec in OPS.values():
        if spec.fields:
            alike.setdefault(_names(spec.kind), []).append(spec.name)
    by_kind = [View(tuple(names), longs) for longs, names in alike.items()]
    guest = [Kind.READ, Kind.WRITE, Kind.EXEC, Kind.BEGIN_FAULT]
    host = [spec.kind for spec in OPS.values() if spec.threads == HOST_THREADS]
    slots = [spec.kind for spec in OPS.values() if _names(spec.kind)[:1] == ("slot",)]
    modes = [Kind.SMM, Kind.GUEST_MODE]
    assert all(OPS[kind].threads == VCPU_THREADS for kind in guest)
    shared = (
        _shared("guest", Kind.READ, guest),
        _shared("host", Kind.MIGRATE, host),
        _shared("range", Kind.MUNMAP, [kind for kind in host if "n" in _names(kind)]),
        _shared("memslot", Kind.DIRTY_GET, slots),
        _shared("mode", Kind.SMM, modes),
    )
    return Views((*shared, *by_kind))


@described
class VmConfig(CStruct):
    """How a VM, its module and its CPU are set up: VmParams of the model."""

    c_name = "native_params"
    tdp: Long
    tdp_mmu: Long
    ept: Long
    ad: Long
    root_level: Long
    maxphyaddr: Long
    max_level: Long
    nx_huge_pages: Long
    mmio_caching: Long
    eager_page_split: Long
    pml: Long
    manual_dirty_log_protect: Long
    dirty_log_init_set: Long
    async_pf: Long
    range_flush: Long
    nx_recovery_ratio: Long
    slot_zap_all: Long
    guest: Long
    """Place in GUESTS: page tables of the guest's own."""
    four_levels: Long
    """vCPUs, bit n for vCPU n, whose guests have 48 physical address bits: FOUR_LEVEL_BITS."""
    mmu_invalidate_seq: Long
    before_wrap: Annotated[Longs, ctypes.c_long * 2]


@described
class PlayConfig(VmConfig):
    """That, and what else a program says of the machine."""

    c_name = "config"
    side: Long
    """0 left, 1 right: of the features."""
    steps: Long
    """Preemption points that it may pass."""
    trace: Long
    """Tell the leaves at the end."""
    concurrent: Long
    """Threads run at once: the next five matter."""
    seed: Long
    """Of a random walk; 0: the schedule behind the operations."""
    gap: Long
    """Steps between two preemptions, about; 0: partial order sampling."""
    delays: Long
    """Stores may be delayed, as on x86; a walk draws which."""
    survey: Long
    """The step from which on choices are told; 0: none are."""
    nr_schedule: Long
    exit_races: Long
    vcpus: Long
    mmu_pages: Long
    nr_areas: Long
    areas: Annotated[Longs, ctypes.c_long * N_AREAS]
    """Their kinds, by number in AREA_KINDS."""
    nr_slots: Long
    nr_ops: Long


@described
class VariantsAsked(CStruct):
    """Variants of a program that are to be played on both sides, and those that were kept."""

    c_name = "native_variants"
    program: Annotated[int, ctypes.c_ulong, PointsTo("const struct config")]
    tdp_mmu: Annotated[Longs, ctypes.c_long * 2]
    """Of the left side and of the right one."""
    unprotected: Annotated[Longs, ctypes.c_long * 2]
    """That the side reads memslots without SRCU is known."""
    count: Long
    """How many, at most."""
    most_steps: Long
    """None are begun after so many preemption points of both sides."""
    pool: Annotated[int, ctypes.c_ulong, PointsTo("struct op")]
    """Operations of the programs before, in a ring of NATIVE_POOL."""
    pooled: Long
    """How many were put there so far."""
    room: Long
    """Operations that a program may have."""
    seed: Long
    features: Annotated[int, ctypes.c_ulong, PointsTo("unsigned char")]
    """A byte for each: reached by some program."""
    guards: Annotated[int, ctypes.c_ulong, PointsTo("unsigned char")]
    """The same of places in the kernel's code."""
    ops: Annotated[int, ctypes.c_ulong, PointsTo("struct op")]
    """Room for the operations of all that are kept, one program behind the other."""
    nr_ops: Long
    kept: Annotated[Longs, ctypes.c_long * VARIANTS_KEPT]
    """How many operations each has."""
    nr_kept: Long
    played: Long
    steps: Long


@described
class WalksAsked(CStruct):
    """Walks of a program whose threads run at once."""

    c_name = "native_walks"
    program: Annotated[int, ctypes.c_ulong, PointsTo("struct config")]
    scheduled: Long
    """The program has a schedule: the first is no walk, but follows it."""
    seed: Long
    """Of the first walk; the others have those after it."""
    gaps: Annotated[Longs, ctypes.c_long * len(GAPS)]
    """PlayConfig.gap of one walk after the other."""
    delays: Long
    """Half of the walks delay stores."""
    named: Long
    """The schedule does: PlayConfig.delays of what follows it."""
    next: Long
    """The walk that comes next; at the end `count`, or the one that is suspicious."""
    count: Long
    most_steps: Long
    """None is begun after so many preemption points."""
    reached: Annotated[int, ctypes.c_ulong, PointsTo("unsigned char")]
    """A byte for each feature: reached by a walk of this program."""
    features: Annotated[int, ctypes.c_ulong, PointsTo("long")]
    """Those, in the order in which they were."""
    nr_features: Long
    steps: Long


@described
class PlaySlot(CStruct):
    """A memslot that exists at the start: SlotSpec."""

    c_name = "slot_spec"
    slot: Long
    as_id: Long
    gfn: Long
    npages: Long
    area: Long
    page: Long
    flags: Long


@described
class PlayOp(CStruct):
    """An operation: Op."""

    c_name = "op"
    kind: Long
    thread: Long
    args: Annotated[Longs, ctypes.c_long * OP_ARGS, _views()]
    ends: Long
    """The fault that it begins is not to stay parked."""


@described
class Switch(CStruct):
    """One switch of a schedule: at this step the thread goes on."""

    c_name = "decision"
    step: Long
    number: Long
