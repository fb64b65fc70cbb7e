# SPDX-License-Identifier: GPL-2.0-only
"""gfns above 4 GiB: mapped as far as the CPU's addresses go, and one answer for all beyond."""

from __future__ import annotations

import pytest

from difffuzz.engine import lockstep
from difffuzz.engine.fast_lockstep import FastLockstep
from difffuzz.facts.errno import EINVAL
from difffuzz.facts.paging import PAGE_SHIFT
from difffuzz.program import Config, Program, SlotSpec, parse
from difffuzz.program.limits import GFN_LIMIT, LOW_GFNS
from difffuzz.sides import NativeFactory, open_side
from difffuzz.sides.base import DONE, FAULT, MMIO, NOTHING, OK
from difffuzz.sides.encoded import Encoded
from difffuzz.sides.played import Player
from tests.native.kernel import built, built_newer

MODELS = ("spec", "legacy", "tdp")
CPUS = [
    ("ept", 4, 46),
    ("ept", 4, 45),
    ("ept", 4, 48),
    ("ept", 5, 49),
    ("ept", 5, 52),
    ("npt", 4, 47),
    ("npt", 5, 46),
    ("npt", 5, 52),
]
"""Layout, levels of a table, MAXPHYADDR."""
READ, WRITE, FETCH = 0b01001, 0b01011, 0b11001
"""Error codes: P and RSVD, W, I."""


def on_cpu(layout: str, levels: int, bits: int) -> tuple[Program, list[tuple[str, int]]]:
    """Accesses around the last address of a CPU, with their answers."""
    end = 1 << bits - PAGE_SHIFT
    reached = [
        (f"write gfn={end - 0x400:#x}", (OK, 1)),
        (f"read gfn={end - 1:#x}", (OK, 0)),
        (f"exec gfn={end - 0x401:#x}", (MMIO, 0)),
        (f"write gfn={(end - 1) & 0xFFFFFFFFF:#x}", (OK, 4) if bits <= 48 else (MMIO, 0)),
    ]
    beyond = [
        (f"read gfn={end:#x}", (FAULT, READ)),
        (f"write gfn={GFN_LIMIT - 1:#x}", (FAULT, WRITE)),
        (f"exec gfn={end:#x}", (FAULT, FETCH)),
        (f"begin_fault gfn={end:#x} access=write", (FAULT, WRITE)),
        ("end_fault", (NOTHING, 0)),
    ]
    last = [(f"read gfn={end - 0x400:#x}", (OK, 1))]
    steps = reached + (beyond if end < GFN_LIMIT else []) + last
    text = f"config layout={layout} root_level={levels} maxphyaddr={bits}\n"
    text += f"slot 0 gfn={end - 0x400:#x} pages=0x400 area=1\n"
    text += "".join(f"vcpu0: {op}\n" for op, _ in steps)
    return parse("difffuzz program v1\n" + text), [answer for _, answer in steps]


def answers(name: str, program: Program) -> list[tuple[str, int]]:
    side = open_side(name).start(program.config)
    outcomes = [side.execute(op, number) for number, op in enumerate(program.ops, 1)]
    side.destroy()
    return [(outcome.result, outcome.value) for outcome in outcomes]


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", MODELS)
def test_each_side_has_the_same_answers(name: str, cpu: tuple[str, int, int]) -> None:
    program, expected = on_cpu(*cpu)
    assert answers(name, program) == expected


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("mmu", ["legacy", "tdp"])
def test_the_kernels_own_code_too(mmu: str, cpu: tuple[str, int, int]) -> None:
    program, expected = on_cpu(*cpu)
    assert answers(f"native:{built()}:{mmu}", program) == expected


@pytest.mark.parametrize("version", ["6.12", "7.2"])
def test_and_that_of_newer_kernels(version: str) -> None:
    side = f"native:{built_newer(version)}:"
    for cpu in CPUS:
        program, expected = on_cpu(*cpu)
        for mmu in ("legacy", "tdp"):
            assert answers(side + mmu, program) == expected, (cpu, mmu)


@pytest.mark.parametrize("name", ["spec", "legacy"])
def test_without_paging_addresses_have_32_bits(name: str) -> None:
    slot = SlotSpec(0, 0, LOW_GFNS - 1, 2, 1, 0)
    text = f"vcpu0: write gfn={LOW_GFNS - 1:#x}\nvcpu0: write gfn={LOW_GFNS:#x}\n"
    config = Config(paging="nonpaging", layout="npt", max_level=2, slots=(slot,))
    program = Program(config, parse("difffuzz program v1\n" + text).ops)
    assert answers(name, program) == [(OK, 1), (NOTHING, 0)]


@pytest.mark.parametrize("cpu", CPUS)
def test_lockstep_sees_no_difference(cpu: tuple[str, int, int]) -> None:
    program, expected = on_cpu(*cpu)
    verdict = lockstep.run(program, open_side("legacy"), open_side("tdp"))
    assert not verdict.divergences
    assert verdict.operations == len(expected)


def test_programs_played_in_c_have_the_same_answers() -> None:
    left, right = (open_side(f"native:{built()}:{mmu}") for mmu in ("legacy", "tdp"))
    assert isinstance(left, NativeFactory)
    assert isinstance(right, NativeFactory)
    for cpu in CPUS:
        program, expected = on_cpu(*cpu)
        played = Player(left.library, left.tdp_mmu, 0).play(Encoded(program), 10_000_000)
        assert [(op.outcome.result, op.outcome.value) for op in played.operations()] == expected
        assert FastLockstep(left, right).run(program, 10_000_000) is not None


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bits", [45, 46, 48])
def test_no_memslot_moves_beyond(name: str, bits: int) -> None:
    end = 1 << bits - PAGE_SHIFT
    text = f"config maxphyaddr={bits}\nslot 0 gfn={end - 0x400:#x} pages=0x400 area=1\n"
    text += f"vmm: memslot_move slot=0 as=0 gfn={end - 0x3FF:#x}\n"
    text += f"vmm: memslot_move slot=0 as=0 gfn={GFN_LIMIT - 1:#x}\n"
    program = parse(f"difffuzz program v1\n{text}vcpu0: read gfn={end - 0x400:#x}\n")
    assert answers(name, program) == [(DONE, -EINVAL), (DONE, -EINVAL), (OK, 0)]
