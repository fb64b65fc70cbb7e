# SPDX-License-Identifier: GPL-2.0-only
"""What two sides disagree about is told with a small program, which is one."""

from __future__ import annotations

from difffuzz.engine.conform import Disagreement
from difffuzz.engine.conform_many import shrink
from difffuzz.program import Kind, Program, parse, render

TEXT = """difffuzz program v1
config vcpus=1
slot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0
vmm: vcpu_create
vcpu0: read gfn=0x2
vcpu1: read gfn=0x0
vcpu0: write gfn=0x1
"""
SEEN = Disagreement(0, "rets", "(4,)", "(1, 4)")


def test_a_program_that_was_shrunk_is_still_one() -> None:
    """Without its creation a vCPU is not there: what it did goes with it."""

    def run(program: Program) -> Disagreement | None:
        writes = any(op.kind is Kind.WRITE for op in program.ops)
        return SEEN if writes and len(program.ops) > 1 else None

    smallest = shrink(parse(TEXT, "given"), SEEN, run)
    assert parse(render(smallest), "shrunk") == smallest
    assert len(smallest.ops) == 2
