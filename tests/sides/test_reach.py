# SPDX-License-Identifier: GPL-2.0-only
"""gfns above 4 GiB: mapped as far as the CPU's addresses go, and one answer for all beyond."""

from __future__ import annotations

import pytest

from difffuzz.engine import lockstep
from difffuzz.engine.fast_lockstep import FastLockstep
from difffuzz.facts.errno import EINVAL
from difffuzz.facts.paging import MAXPHYADDR, PAGE_SHIFT
from difffuzz.program import Config, Program, SlotSpec, parse
from difffuzz.program.limits import GFN_LIMIT, LOW_GFNS
from difffuzz.sides import NativeFactory, open_side
from difffuzz.sides.base import DONE, FAULT, MMIO, NOTHING, OK
from difffuzz.sides.encoded import Encoded
from difffuzz.sides.played import Player
from tests.native.kernel import built

END = GFN_LIMIT - 0x400
MODELS = ("spec", "legacy", "tdp")
ACCESSES = f"""vcpu0: write gfn={END:#x}
vcpu0: read gfn={GFN_LIMIT - 1:#x}
vcpu0: exec gfn={END - 1:#x}
vcpu0: read gfn={GFN_LIMIT:#x}
vcpu0: write gfn=0x1000000000
vcpu0: exec gfn=0xffffffffff
vcpu0: begin_fault gfn={GFN_LIMIT:#x} access=write
vcpu0: end_fault
vcpu0: read gfn={END:#x}
"""
SLOT = f"slot 0 gfn={END:#x} pages=0x400 area=1\n"
READ, WRITE, FETCH = 0b01001, 0b01011, 0b11001
"""Error codes: P and RSVD, W, I."""
ANSWERS = [
    (OK, 1),
    (OK, 0),
    (MMIO, 0),
    (FAULT, READ),
    (FAULT, WRITE),
    (FAULT, FETCH),
    (FAULT, WRITE),
    (NOTHING, 0),
    (OK, 1),
]


def answers(name: str, program: Program) -> list[tuple[str, int]]:
    side = open_side(name).start(program.config)
    outcomes = [side.execute(op, number) for number, op in enumerate(program.ops, 1)]
    side.destroy()
    return [(outcome.result, outcome.value) for outcome in outcomes]


def of(config: str) -> Program:
    return parse(f"difffuzz program v1\nconfig {config}\n{SLOT}{ACCESSES}")


def test_memslots_end_where_addresses_do() -> None:
    assert GFN_LIMIT == 1 << MAXPHYADDR - PAGE_SHIFT


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("config", ["layout=ept root_level=4", "layout=npt root_level=5"])
def test_each_side_has_the_same_answers(name: str, config: str) -> None:
    assert answers(name, of(config)) == ANSWERS


@pytest.mark.parametrize("mmu", ["legacy", "tdp"])
def test_the_kernels_own_code_too(mmu: str) -> None:
    assert answers(f"native:{built()}:{mmu}", of("layout=ept root_level=4")) == ANSWERS


@pytest.mark.parametrize("name", ["spec", "legacy"])
def test_without_paging_addresses_have_32_bits(name: str) -> None:
    slot = SlotSpec(0, 0, LOW_GFNS - 1, 2, 1, 0)
    text = f"vcpu0: write gfn={LOW_GFNS - 1:#x}\nvcpu0: write gfn={LOW_GFNS:#x}\n"
    config = Config(paging="nonpaging", layout="npt", max_level=2, slots=(slot,))
    program = Program(config, parse("difffuzz program v1\n" + text).ops)
    assert answers(name, program) == [(OK, 1), (NOTHING, 0)]


def test_lockstep_sees_no_difference() -> None:
    verdict = lockstep.run(of("layout=ept root_level=4"), open_side("legacy"), open_side("tdp"))
    assert not verdict.divergences
    assert verdict.operations == len(ANSWERS)


def test_programs_played_in_c_have_the_same_answers() -> None:
    left, right = (open_side(f"native:{built()}:{mmu}") for mmu in ("legacy", "tdp"))
    assert isinstance(left, NativeFactory)
    assert isinstance(right, NativeFactory)
    played = Player(left.library, left.tdp_mmu, 0).play(
        Encoded(of("layout=ept root_level=4")), 10_000_000
    )
    assert [(op.outcome.result, op.outcome.value) for op in played.operations()] == ANSWERS
    assert FastLockstep(left, right).run(of("layout=npt root_level=5"), 10_000_000) is not None


@pytest.mark.parametrize("name", MODELS)
def test_no_memslot_moves_beyond(name: str) -> None:
    move = f"vmm: memslot_move slot=0 as=0 gfn={GFN_LIMIT - 1:#x}\nvcpu0: read gfn={END:#x}\n"
    program = parse(f"difffuzz program v1\n{SLOT}{move}")
    assert answers(name, program) == [(DONE, -EINVAL), (OK, 0)]
