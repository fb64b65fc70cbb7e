# SPDX-License-Identifier: GPL-2.0-only
"""Programs of guests with page tables: what a configuration becomes, both forms, the generator."""

from __future__ import annotations

from random import Random

import pytest

from difffuzz.program import decode, encode, mutate, normalise, parse, render
from difffuzz.program.generate_guest import generate_guest
from difffuzz.program.guest_tables import ADDRESSES, DIRECT_BASE, ENTRY_WORDS, GVAS, entry_gpa
from difffuzz.program.model import GUESTS, Config, Op, Program, SlotSpec
from difffuzz.program.ops import GUEST_KINDS, Kind
from difffuzz.program.phrases.guest_pages import GUEST_PHRASES, GuestScene
from difffuzz.program.phrases.guest_shadow import (
    DEVICE_PHRASES,
    SHADOW_PHRASES,
    by_the_kernel,
    linked_late,
)

SEEDS = range(60)


@pytest.mark.parametrize("guest", GUESTS[1:])
def test_generated_programs_survive_both_forms(guest: str) -> None:
    for seed in SEEDS:
        program = generate_guest(Random(seed), guest)
        assert normalise(program) is program
        assert decode(encode(program)) == program
        assert parse(render(program), "test") == program


def test_every_kind_of_a_guest_is_generated() -> None:
    kinds = {op.kind for seed in SEEDS for op in generate_guest(Random(seed), GUESTS[1]).ops}
    assert set(GUEST_KINDS) <= kinds
    assert {Kind.READ, Kind.WRITE, Kind.MEMSLOT_CREATE, Kind.SWAP_OUT} <= kinds


@pytest.mark.parametrize("guest", GUESTS[1:])
def test_mutants_stay_guests(guest: str) -> None:
    rng = Random(1)
    program = generate_guest(rng, guest)
    for _ in range(200):
        program = mutate.mutate(program, rng)
        assert program.config.guest == guest
        assert normalise(program) is program


def test_there_is_a_slot_for_the_tables() -> None:
    home = normalise(Program(Config(guest="paging64"))).config.slots
    assert home == (SlotSpec(0, 0, 0, 0x200, 0, 0),)
    over = SlotSpec(3, 0, 0x10, 0x100, 1, 0)
    beside = SlotSpec(2, 0, 0x400, 0x10, 1, 0)
    config = normalise(Program(Config(guest="paging64", slots=(over, beside)))).config
    assert config.slots == (*home, beside)


def test_an_address_names_its_entries() -> None:
    assert len(ADDRESSES) == len(set(GVAS)) == 32
    assert GVAS[0] == 1 << 39 | 1 << 30 | 1 << 21 | 1 << 12
    assert entry_gpa(ENTRY_WORDS.index("G.2")) == 0x6018
    assert DIRECT_BASE >> 39 & 511 == 256


@pytest.mark.parametrize(("guest", "layout"), [("ept12", "ept"), ("npt12", "npt")])
def test_an_l1_has_tables_as_its_cpu(guest: str, layout: str) -> None:
    other = "npt" if layout == "ept" else "ept"
    config = Config(guest=guest, layout=other, ad=False, dirty_mode="pml")
    program = normalise(Program(config))
    assert program.config.layout == layout
    assert normalise(program) is program


def test_bytes_of_guests_stay_what_they_were() -> None:
    at = 16
    for guest, byte in (("paging64", 0xF4), ("ept12", 0xE8), ("npt12", 0xE2)):
        assert encode(normalise(Program(Config(guest=guest))))[at] == byte


def test_old_bytes_mean_no_guest() -> None:
    for byte in range(8):
        assert decode(bytes([0] * 17 + [byte])).config.guest == "none"


def test_every_phrase_of_a_guest_is_used() -> None:
    used: list[str] = []
    for seed in SEEDS:
        generate_guest(Random(seed), "paging64", used=used)
    names = {phrase.__name__ for phrase, _ in (*GUEST_PHRASES, *SHADOW_PHRASES, *DEVICE_PHRASES)}
    assert names <= set(used)


def test_only_programs_with_a_device_have_its_writes() -> None:
    devices = {phrase.__name__ for phrase, _ in DEVICE_PHRASES} | {"by_device"}
    for seed in SEEDS:
        used: list[str] = []
        program = generate_guest(Random(seed), "paging64", used=used)
        writes = any(op.kind == Kind.DMA for op in program.ops)
        assert writes <= bool(devices & set(used))


def test_a_table_is_linked_after_it_changed() -> None:
    maker = GuestScene(Random(3), normalise(Program(Config(guest="paging64"))).config)
    for _ in range(20):
        ops = linked_late(maker)
        if not ops:  # an entry on the way is gone by now
            continue
        unlinked, *between, linked, _, _ = ops
        assert (unlinked.kind, linked.kind) == (Kind.PTE, Kind.PTE)
        assert unlinked.args[:2] == (linked.args[0], 0)
        assert any(op.kind == Kind.PTE and op.args[0] != linked.args[0] for op in between)
        assert not any(op.kind in (Kind.CR3, Kind.INVLPG) for op in ops)


def test_the_kernel_writes_while_write_protection_is_off() -> None:
    maker = GuestScene(Random(5), normalise(Program(Config(guest="paging64"))).config)
    protected = True
    for _ in range(20):
        assert maker.mode(0, "wp") == protected
        writes = 0
        for op in by_the_kernel(maker):
            protected ^= op == Op(Kind.TOGGLE, 0, (0,))
            writes += op.kind == Kind.GVA_WRITE and not op.args[1] and not protected
        assert writes
