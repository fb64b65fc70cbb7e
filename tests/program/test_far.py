# SPDX-License-Identifier: GPL-2.0-only
"""Programs that are moved up in guest memory, and how often a generated one is."""

from __future__ import annotations

from random import Random

from difffuzz.engine import lockstep
from difffuzz.program import Program, normalise, parse
from difffuzz.program.far import far
from difffuzz.program.generate import generate
from difffuzz.program.limits import LOW_GFNS
from difffuzz.program.model import CONFIG_CHOICES
from difffuzz.program.normalise import memslots_end
from difffuzz.sides import open_side

TEXT = """difffuzz program v1
slot 0 as=0 gfn=0xffe00 pages=0x200 area=0 page=0x0
slot 1 as=0 gfn=0x200 pages=0x200 area=1 page=0x200
vcpu0: write gfn=0xfffff
vcpu0: read gfn=0x201
vmm: track_add as=0 gfn=0x202
vmm: memslot_move slot=1 as=0 gfn=0x400
vcpu0: write gfn=0x401
"""


def gfns(program: Program) -> list[int]:
    """The gfns of its slots and of the operations of TEXT."""
    ops = [op.args[-1 if len(op.args) < 4 else 0] for op in program.ops]
    return [*(slot.gfn for slot in program.config.slots), *ops]


def test_every_gfn_moves_by_as_much_and_no_slot_is_lost() -> None:
    near = parse(TEXT)
    ends = set()
    for seed in range(60):
        program = far(near, Random(seed))
        assert normalise(program) is program
        distances = {new - old for new, old in zip(gfns(program), gfns(near), strict=True)}
        assert len(distances) == 1
        assert distances.pop() % 0x40000 == 0
        assert len(program.config.slots) == 2
        slot = program.config.slots[0]
        ends.add(
            (program.config.maxphyaddr, slot.gfn + slot.npages == memslots_end(program.config))
        )
    widths = {bits for bits, _ in ends}
    assert widths == set(CONFIG_CHOICES["maxphyaddr"])
    assert {(bits, True) for bits in widths} <= ends
    assert any(not last for _, last in ends), "some lie across the end of the fourth level"


def test_they_mean_the_same_there() -> None:
    for seed in range(8):
        program = far(parse(TEXT), Random(seed))
        verdict = lockstep.run(program, open_side("legacy"), open_side("tdp"))
        assert not verdict.divergences
        assert verdict.operations == len(program.ops)


def test_few_generated_programs_lie_there() -> None:
    rng = Random(1)
    made = [generate(rng, ops=4) for _ in range(600)]
    distant = [one for one in made if any(slot.gfn >= LOW_GFNS for slot in one.config.slots)]
    assert 2 <= len(distant) <= 40
    near = [generate(rng, ops=4, near=True) for _ in range(400)]
    assert not any(slot.gfn >= LOW_GFNS for one in near for slot in one.config.slots)
    nonpaging = [generate(rng, ops=4, paging="nonpaging") for _ in range(200)]
    assert not any(slot.gfn >= LOW_GFNS for one in nonpaging for slot in one.config.slots)
