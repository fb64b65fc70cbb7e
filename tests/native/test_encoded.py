# SPDX-License-Identifier: GPL-2.0-only
"""A program that Python wrote as longs, read again through the structures of native/abi."""

from __future__ import annotations

import ctypes

import pytest

from difffuzz.kvm.vm import VmParams
from difffuzz.native.abi.describe import CStruct, Long, described, place
from difffuzz.native.abi.programs import PlayConfig, PlayOp, PlaySlot, Switch, VmConfig
from difffuzz.native.params import NAMED, param_numbers
from difffuzz.program import Kind, parse
from difffuzz.program.model import AREA_KINDS
from difffuzz.sides.encoded import Encoded, Threads
from difffuzz.sides.params import vm_params

TEXT = """\
difffuzz program v1
config vcpus=2 mmu_pages=20
slot 0 as=0 gfn=0x100 pages=0x10 area=1 page=0x2 flags=dirty
vcpu1: begin_fault gfn=0x101 access=write
vmm: memslot_create slot=1 gfn=0x200 n=8 area=0 page=1
"""


@described
class Wide(CStruct):
    """Members of more than one long."""

    c_name = "wide"
    config: VmConfig
    last: Long


def rows(cls: type[CStruct], at: int, length: int) -> tuple[list[list[int]], int]:
    """Structures from an address on, as lists of longs, and where they end."""
    words = ctypes.sizeof(cls) // 8
    raw = (ctypes.c_long * (words * length)).from_address(at)
    return [raw[i : i + words] for i in range(0, len(raw), words)], at + ctypes.sizeof(raw)


@pytest.mark.parametrize("threads", [None, Threads(((3, 1), (9, 0)), seed=0, gap=7)])
def test_a_program_is_where_the_structures_say(threads: Threads | None) -> None:
    program = parse(TEXT, "text")
    encoded = Encoded(program, threads)
    encoded.end_at_once([0])
    at = encoded.at(True, 1, 1234, True)
    config = PlayConfig.from_address(at)
    assert (config.side, config.steps, config.trace, config.tdp_mmu) == (1, 1234, 1, 1)
    assert (config.vcpus, config.mmu_pages) == (2, 20)
    assert [AREA_KINDS[n] for n in config.areas[: config.nr_areas]] == list(program.config.areas)
    assert (config.nr_slots, config.nr_ops) == (len(program.config.slots), len(program.ops))
    assert config.concurrent == (threads is not None)
    if threads:
        assert (config.seed, config.gap, config.nr_schedule) == (0, 7, 2)
    slots, at = rows(PlaySlot, at + ctypes.sizeof(PlayConfig), config.nr_slots)
    assert slots == [list(slot) for slot in program.config.slots]
    ops = (PlayOp * config.nr_ops).from_address(at)
    assert [(one.kind, one.thread) for one in ops] == [(op.kind, op.thread) for op in program.ops]
    for one, op in zip(ops, program.ops, strict=True):
        assert tuple(one.args[: len(op.args)]) == op.args
        assert not any(one.args[len(op.args) :])
    assert [one.ends for one in ops] == [1, 0]
    assert ops[0].kind == Kind.BEGIN_FAULT
    switches, _ = rows(Switch, at + ctypes.sizeof(ops), config.nr_schedule)
    assert switches == [list(one) for one in (threads.schedule if threads else ())]


def test_every_parameter_is_told_by_its_name() -> None:
    params = vm_params(parse(TEXT, "text").config, True)
    told = (ctypes.c_long * (ctypes.sizeof(VmConfig) // 8))(*param_numbers(params))
    config = VmConfig.from_buffer(told)
    assert {name: getattr(config, name) for name in NAMED} == {
        name: int(getattr(params, name)) for name in NAMED
    }
    assert tuple(config.before_wrap) == tuple(params.before_wrap)
    assert {"mmu_pages", "vcpus", "before_wrap"} == set(VmParams.__slots__) - set(NAMED)


def test_a_place_is_counted_in_longs() -> None:
    assert place(Wide, "last") == ctypes.sizeof(VmConfig) // 8
    with pytest.raises(AttributeError):
        place(Wide, "first")
