# SPDX-License-Identifier: GPL-2.0-only
"""The memory map that oracles keep: it says of every operation what the model then does."""

from __future__ import annotations

from random import Random

import pytest

from difffuzz.program import Config, Kind, generate, parse
from difffuzz.program.limits import area_base
from difffuzz.sides import open_side
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import MemoryMap
from tests.kvm.vm import kvm_of

PREDICTED = (
    Kind.MEMSLOT_CREATE,
    Kind.MEMSLOT_DELETE,
    Kind.MEMSLOT_MOVE,
    Kind.MEMSLOT_FLAGS,
    Kind.DIRTY_GET,
    Kind.DIRTY_CLEAR,
    Kind.MMU_PAGES,
    Kind.TRACK_ADD,
    Kind.TRACK_REMOVE,
)


@pytest.mark.parametrize("side", ["legacy", "tdp"])
def test_it_predicts_the_model(side: str) -> None:
    rng = Random(11)
    seen = set()
    for _ in range(60):
        program = generate(rng)
        memory = MemoryMap(program.config)
        model = open_side(side).start(program.config)
        assert isinstance(model, KvmSide)
        for number, op in enumerate(program.ops, 1):
            value = model.execute(op, number).value
            predicted = memory.apply(op, None)
            if op.kind in PREDICTED:
                assert value == predicted
                seen.add((op.kind, value < 0))
        check_slots(memory, model)
    assert {kind for kind, _ in seen} == set(PREDICTED)
    assert {failed for _, failed in seen} == {False, True}


def check_slots(memory: MemoryMap, model: KvmSide) -> None:
    """Both have the same memslots and tracked gfns."""
    theirs = {
        (as_id, slot.id): (slot.base_gfn, slot.npages, slot.userspace_addr, slot.flags)
        for as_id in (0, 1)
        for slot in model.kvm.memslots[as_id].id_hash.values()
    }
    ours = {
        key: (slot.gfn, slot.npages, slot.base_hva, slot.flags)
        for key, slot in memory.slots.items()
    }
    assert ours == theirs
    for (as_id, slot_id), mine in memory.slots.items():
        track = kvm_of(model).memslots[as_id].id_hash[slot_id].arch.gfn_track
        assert {gfn - mine.gfn: count for gfn, count in mine.tracked.items()} == track
    assert [bool(smm) for smm in memory.smm[: memory.vcpus]] == [
        vcpu.smm for vcpu in model.kvm.vcpus
    ]
    assert memory.nx == kvm_of(model).nx_huge_pages


def test_look_ups() -> None:
    config = parse(
        "difffuzz program v1\nslot 0 gfn=0x10 pages=0x8 area=1 page=0x20\n"
        "slot 1 as=1 gfn=0x10 pages=0x8 area=1 page=0x24\n"
    ).config
    memory = MemoryMap(config)
    assert [memory.slot_at(0, gfn) is not None for gfn in (0xF, 0x10, 0x17, 0x18)] == [
        False,
        True,
        True,
        False,
    ]
    slot = memory.slot_at(0, 0x12)
    assert slot is not None
    assert slot.hva(0x12) == area_base(1) + 0x22000
    over = [
        [found.slot for found in memory.slots_over(area_base(1) + start, area_base(1) + end)]
        for start, end in ((0, 0x20000), (0, 0x20001), (0x27FFF, 0x28000), (0x2C000, 0x30000))
    ]
    assert over == [[], [0], [0, 1], []]


def test_tracking_counts_and_is_seen_from_both_address_spaces() -> None:
    program = parse(
        "difffuzz program v1\nslot 0 gfn=0x0 pages=0x8 area=1\n"
        "slot 0 as=1 gfn=0x0 pages=0x8 area=1\n"
        "vmm: track_add as=0 gfn=0x3\nvmm: track_add as=0 gfn=0x3\n"
        "vmm: track_remove as=0 gfn=0x3\nvmm: track_remove as=0 gfn=0x3\n"
        "vmm: track_remove as=0 gfn=0x3\nvmm: track_add as=0 gfn=0x100\n"
    )
    memory = MemoryMap(program.config)
    shown = []
    for op in program.ops:
        done = memory.apply(op, None)
        shown.append((done, memory.tracked(0, 0x3), memory.tracked(1, 0x3)))
    assert shown == [
        (1, True, True),
        (1, True, True),
        (1, True, True),
        (1, False, False),
        (0, False, False),
        (0, False, False),
    ]


def test_an_empty_configuration_has_no_memory() -> None:
    memory = MemoryMap(Config())
    assert memory.slot_at(0, 0) is None
    assert memory.slots_over(0, 1 << 60) == []
