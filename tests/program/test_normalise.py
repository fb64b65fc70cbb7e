# SPDX-License-Identifier: GPL-2.0-only
"""Normalising: every rule holds afterwards, and nothing that was right has changed."""

from __future__ import annotations

import pytest
from hypothesis import given

from difffuzz.program import OPS, Config, Kind, Op, Program, SlotSpec, normalise
from difffuzz.program.limits import AREA_PAGES, GFN_LIMIT, MAX_OPS, MAX_SCHEDULE, MAX_STEP
from difffuzz.program.model import DEFAULT_AREAS
from difffuzz.program.normalise import clash

from .strategies import PROGRAMS, PROPERTY, WILD_PROGRAMS


def assert_valid(program: Program) -> None:
    """Every rule of a normalised program, written down a second time."""
    config = program.config
    assert 1 <= config.vcpus <= 4
    if config.paging == "nonpaging":
        assert (config.layout, config.max_level) == ("npt", 2)
    if config.layout == "npt":
        assert (config.ad, config.dirty_mode) == (True, "wrprot")
    if config.dirty_mode == "pml":
        assert config.ad
    if config.init_set:
        assert config.manual_protect
    for at, slot in enumerate(config.slots):
        assert slot.gfn + slot.npages <= GFN_LIMIT
        assert slot.page + slot.npages <= AREA_PAGES
        assert not any(clash(slot, other) for other in config.slots[:at])
    assert len(config.slots) <= 8
    assert len(program.ops) <= MAX_OPS
    vcpus = config.vcpus
    for op in program.ops:
        spec = OPS[op.kind]
        assert op.thread in spec.threads
        assert op.thread >= 4 or op.thread < vcpus
        assert len(op.args) == len(spec.fields)
        for value, field in zip(op.args, spec.fields, strict=True):
            assert field.type.low <= value <= field.type.high
        for base, count, limit in spec.spans:
            assert op.args[base] + op.args[count] <= limit
        if op.kind is Kind.VCPU_CREATE:
            vcpus = min(vcpus + 1, 4)
    steps = [step for step, _ in program.schedule]
    assert steps == sorted(set(steps))
    assert len(steps) <= MAX_SCHEDULE
    assert all(0 <= step < MAX_STEP and 0 <= thread < 16 for step, thread in program.schedule)


@PROPERTY
@given(WILD_PROGRAMS)
def test_anything_becomes_a_valid_program(program: Program) -> None:
    assert_valid(normalise(program))


@PROPERTY
@given(WILD_PROGRAMS)
def test_idempotent(program: Program) -> None:
    once = normalise(program)
    assert normalise(once) is once


@PROPERTY
@given(PROGRAMS)
def test_programs_are_hashable_and_comparable(program: Program) -> None:
    assert hash(program) == hash(Program(*program))
    assert program == Program(*program)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (Config(layout="npt", ad=False), Config(layout="npt")),
        (Config(layout="npt", dirty_mode="pml"), Config(layout="npt")),
        (Config(ad=False, dirty_mode="pml"), Config(ad=False)),
        (Config(paging="nonpaging"), Config(paging="nonpaging", layout="npt", max_level=2)),
        (
            Config(paging="nonpaging", ad=False, max_level=1),
            Config(paging="nonpaging", layout="npt", max_level=2),
        ),
        (Config(init_set=True), Config(init_set=True, manual_protect=True)),
        (Config(vcpus=99, root_level=3, paging="x"), Config()),
        (Config(areas=("shared", "floppy")), Config(areas=("shared", *DEFAULT_AREAS[1:]))),
    ],
)
def test_configuration_rules(given: Config, kept: Config) -> None:
    assert normalise(Program(given)).config == kept


def test_pml_needs_ept_with_ad() -> None:
    assert normalise(Program(Config(dirty_mode="pml"))).config.dirty_mode == "pml"


def test_a_vcpu_exists_after_it_was_created() -> None:
    reload, create = Op(Kind.RELOAD, 1), Op(Kind.VCPU_CREATE, 6)
    program = normalise(Program(Config(vcpus=1), (reload, create, reload)))
    assert [op.thread for op in program.ops] == [0, 6, 1]


def test_a_count_is_cut_at_the_end_of_its_area() -> None:
    program = Program(Config(), (Op(Kind.MUNMAP, 4, (0, AREA_PAGES - 2, 64)),))
    assert normalise(program).ops[0].args == (0, AREA_PAGES - 2, 2)


def test_the_later_of_two_slots_that_clash_is_dropped() -> None:
    first = SlotSpec(0, 0, 0x0, 0x200, 0, 0x0)
    overlap = SlotSpec(1, 0, 0x1FF, 0x10, 1, 0x0)
    same_id = SlotSpec(0, 0, 0x1000, 0x10, 1, 0x0)
    other_space = SlotSpec(0, 1, 0x0, 0x200, 0, 0x0)
    program = normalise(Program(Config(slots=(first, overlap, same_id, other_space))))
    assert program.config.slots == (first, other_space)


def test_a_schedule_is_sorted_and_the_first_switch_of_a_step_wins() -> None:
    program = normalise(Program(schedule=((7, 1), (3, 0), (7, 2))))
    assert program.schedule == ((3, 0), (7, 1))
