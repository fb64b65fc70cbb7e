# SPDX-License-Identifier: GPL-2.0-only
"""vCPUs whose roots differ in levels: said by a configuration, kept by all forms, within limits."""

from __future__ import annotations

from random import Random

import pytest

from difffuzz.program import (
    Config,
    Kind,
    Op,
    Program,
    ProgramError,
    SlotSpec,
    decode,
    encode,
    generate,
    normalise,
    parse,
    render,
)
from difffuzz.program.far import far
from difffuzz.program.limits import FOUR_LEVEL_GFNS, LOW_GFNS, VCPU_SETS, VMM_THREAD
from difffuzz.program.model import levels_differ
from difffuzz.program.mutate import mutate
from difffuzz.program.normalise import normalise_config, within_four_levels

FOUR_AND_FIVE = Config(vcpus=2, root_level=5, maxphyaddr=52, four_levels=2)
LINE = "config vcpus=2 root_level=5 maxphyaddr=52 four_levels=vcpu1\n"


def program_of(text: str) -> Program:
    return parse(f"difffuzz program v1\n{text}")


def test_a_config_line_says_it() -> None:
    assert program_of(LINE).config == FOUR_AND_FIVE
    assert LINE in render(Program(FOUR_AND_FIVE))
    assert program_of("config root_level=5 four_levels=vcpu0,vcpu3\n").config.four_levels == 0b1001
    assert program_of("config four_levels=none\n") == Program()


@pytest.mark.parametrize("vcpus", range(VCPU_SETS))
def test_both_forms_keep_every_set(vcpus: int) -> None:
    program = Program(FOUR_AND_FIVE._replace(four_levels=vcpus))
    assert normalise(program) is program
    assert decode(encode(program)) == program
    assert parse(render(program)) == program


def test_bytes_of_before_mean_what_they_did() -> None:
    # Written by the encoder that knew nothing of it: (levels, address bits) and the header's byte.
    at = 4
    for byte, (levels, bits) in {
        0: (4, 46),
        242: (4, 45),
        243: (4, 47),
        244: (4, 48),
        252: (5, 49),
        255: (5, 52),
    }.items():
        config = Config(root_level=levels, maxphyaddr=bits)
        header = bytearray(encode(Program(config)))
        assert header[at] == byte
        assert decode(bytes(header)).config == config


@pytest.mark.parametrize(
    "config",
    [
        Config(four_levels=1),
        Config(root_level=5, layout="npt", four_levels=1),
        Config(paging="nonpaging", root_level=5, four_levels=1),
        Config(root_level=5, guest="paging64", four_levels=1),
        Config(root_level=5, four_levels=VCPU_SETS),
    ],
)
def test_only_with_ept_and_five_levels_there_are_fewer(config: Config) -> None:
    assert normalise_config(config).four_levels == 0


def test_the_host_has_52_address_bits_then() -> None:
    config = normalise_config(Config(root_level=5, maxphyaddr=49, four_levels=1))
    assert (config.maxphyaddr, config.four_levels) == (52, 1)


def test_levels_differ_unless_all_vcpus_there_can_be_have_four() -> None:
    assert not levels_differ(Config())
    assert levels_differ(FOUR_AND_FIVE)
    assert not levels_differ(FOUR_AND_FIVE._replace(four_levels=VCPU_SETS - 1))


BEYOND = [
    Op(Kind.READ, 0, (FOUR_LEVEL_GFNS,)),
    Op(Kind.BEGIN_FAULT, 1, (FOUR_LEVEL_GFNS + 1, 1)),
    Op(Kind.PREFAULT, 0, (FOUR_LEVEL_GFNS - 1, 2)),
    Op(Kind.MEMSLOT_CREATE, VMM_THREAD, (1, 0, FOUR_LEVEL_GFNS - 1, 2, 0, 0, 0)),
    Op(Kind.MEMSLOT_MOVE, VMM_THREAD, (0, 0, FOUR_LEVEL_GFNS - 1)),
    Op(Kind.TRACK_ADD, VMM_THREAD, (0, FOUR_LEVEL_GFNS)),
    Op(Kind.ZAP_GFN_RANGE, VMM_THREAD, (FOUR_LEVEL_GFNS - 1, 2)),
]


@pytest.mark.parametrize("op", BEYOND, ids=lambda op: op.kind.name.lower())
def test_no_gfn_is_named_that_four_levels_do_not_map(op: Op) -> None:
    slot = SlotSpec(0, 0, 0, 8, 0, 0)
    five = Program(FOUR_AND_FIVE._replace(four_levels=0, slots=(slot,)), (op,))
    assert normalise(five) is five
    program = normalise(Program(FOUR_AND_FIVE._replace(slots=(slot,)), (op,)))
    [kept] = program.ops
    assert kept != op
    assert kept[:2] == op[:2]
    assert within_four_levels((kept,)) == (kept,)
    assert decode(encode(five._replace(config=program.config))) == program
    text = render(five).replace("maxphyaddr=52", "maxphyaddr=52 four_levels=vcpu1")
    with pytest.raises(ProgramError, match="gfns that four levels of tables map"):
        parse(text)


def test_no_memslot_is_there_either() -> None:
    last = SlotSpec(0, 0, FOUR_LEVEL_GFNS - 8, 8, 0, 0)
    beyond = last._replace(gfn=FOUR_LEVEL_GFNS - 7)
    config = FOUR_AND_FIVE._replace(slots=(last,))
    assert normalise_config(config) is config
    [kept] = normalise_config(config._replace(slots=(beyond,))).slots
    assert kept.gfn + kept.npages <= FOUR_LEVEL_GFNS
    with pytest.raises(ProgramError, match=r"gfns below 0x1000000000 \(config four_levels=vcpu1\)"):
        program_of(f"{LINE}slot 0 gfn={beyond.gfn:#x} pages=0x8 area=0\n")


def within(program: Program) -> bool:
    ends = [slot.gfn + slot.npages for slot in program.config.slots]
    return within_four_levels(program.ops) is program.ops and max(ends) <= FOUR_LEVEL_GFNS


def test_some_generated_programs_have_it_and_keep_the_limit_wherever_they_go() -> None:
    found = 0
    for seed in range(600):
        rng = Random(seed)
        program = generate(rng, concurrent=seed % 2 == 0)
        if not program.config.four_levels or not program.config.slots:
            continue
        found += 1
        for one in (program, far(program, rng), mutate(program, rng, program)):
            assert not one.config.four_levels or not one.config.slots or within(one)
        assert program.config.vcpus > 1
    assert 8 <= found <= 60


def test_none_is_made_for_booted_kernels() -> None:
    for seed in range(300):
        assert not generate(Random(seed), near=True).config.four_levels
    assert LOW_GFNS < FOUR_LEVEL_GFNS
