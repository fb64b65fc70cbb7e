# SPDX-License-Identifier: GPL-2.0-only
"""Litmus tests: a short program, and behind each operation what it must answer on both MMUs.

    slot 0 gfn=0x0 pages=0x400 area=1
    vcpu0: write gfn=0x3   # FIXED: ok, 4K rwx
    vcpu0: read gfn=0x3    # ok 1, 4K rwx

An answer is that of the legacy MMU and of the TDP MMU, or `LEGACY | TDP` where they differ:

- of an access: the `RET_PF_*` of its faults (`fast` in front: fixed without mmu_lock), what the
  guest got (but not of a write, which writes the number of its operation), the leaves that map the
  page;
- `parked`, of a fault that waits before mmu_lock;
- of a dirty log: its pages, or `clean`;
- of aging: who was young;
- of other operations what the call returned; 0 and nothing are not told.

An operation without a comment may answer anything but what an oracle objects to.
"""

from __future__ import annotations

from difflib import ndiff
from textwrap import dedent
from typing import cast

import pytest

from difffuzz.engine import lockstep
from difffuzz.engine.lockstep import Step
from difffuzz.facts.kvm import answer_name
from difffuzz.oracle.answers import AGING
from difffuzz.program import Kind, parse
from difffuzz.report.explain import leaf_text, young_text
from difffuzz.sides import open_side
from difffuzz.sides.base import DONE, NOTHING, OK, Leaf, Outcome
from difffuzz.sides.kvm_side import KvmSide

from .vm import Modelled

BASE = ("legacy", "tdp")
"""The two MMUs of the model; each may have a kernel (`legacy@v7.2`)."""


def cases(texts: dict[str, str]) -> pytest.MarkDecorator:
    """Runs a test for each of the texts, under its name."""
    return pytest.mark.parametrize("text", texts.values(), ids=texts)


def program_text(text: str) -> str:
    """The text without its indentation, and with the first line that every program has."""
    return f"difffuzz program v1\n{dedent(text).strip()}\n"


def litmus(text: str, sides: tuple[str, str] = BASE) -> None:
    """The program answers what its comments say, and no oracle objects."""
    left, right = map(open_side, sides)
    program = parse(program_text(text))
    verdict = lockstep.run(program, left, right, trace=True)
    answers = [""] * len(program.ops)
    for step in verdict.trace:
        assert isinstance(step, Step)
        # A fault that an operation ends comes before it, under the same index.
        answers[step.op_index] = _both(step)
    said, found = [], []
    for line in program_text(text).splitlines():
        code, comment, expected = line.partition("#")
        if code.partition(" ")[0].endswith(":"):
            answer = answers.pop(0)
            if comment:
                said.append(f"{code.strip()}  # {expected.strip()}")
                found.append(f"{code.strip()}  # {answer}")
    assert said, "no operation says what it answers"
    assert found == said, "\n".join(["", *ndiff(said, found)])
    assert [one.detail for one in verdict.divergences] == []


def ran_on(name: str, text: str) -> tuple[KvmSide, list[Outcome]]:
    """A side by its name, alive after the program, and what each operation came to."""
    program = parse(program_text(text))
    side = open_side(name).start(program.config)
    assert isinstance(side, KvmSide)
    return side, [side.execute(op, number) for number, op in enumerate(program.ops, 1)]


def models(text: str) -> tuple[Modelled, Modelled]:
    """Both sides after the program, still alive, for tests that look at the VM itself."""
    legacy, tdp = (cast(Modelled, ran_on(name, text)[0]) for name in BASE)
    return legacy, tdp


def _both(step: Step) -> str:
    maps = step.maps or ((), ())
    left, right = (
        _answer(step.op.kind, outcome, leaves)
        for outcome, leaves in zip((step.left, step.right), maps, strict=True)
    )
    return left if left == right else f"{left} | {right}"


def _answer(kind: Kind, outcome: Outcome | None, leaves: tuple[Leaf, ...]) -> str:
    """One side's."""
    if outcome is None:
        return "crashed"
    if kind in AGING:
        return young_text(outcome).removeprefix(f"{DONE}, ")
    if outcome.bitmap is not None and not outcome.value:
        pages = [
            64 * word + bit
            for word, mask in sorted(outcome.bitmap.items())
            for bit in range(64)
            if mask >> bit & 1
        ]
        return " ".join(f"{page:#x}" for page in pages) or "clean"
    if outcome.result == DONE:
        return str(outcome.value) if outcome.value else ""
    if outcome.parked and not outcome.rets:
        return "parked"
    if outcome.result == NOTHING:
        return ""
    writes = kind == Kind.WRITE or (kind == Kind.END_FAULT and outcome.access == Kind.WRITE)
    valued = not writes and outcome.result == OK
    result = f"{outcome.result} {outcome.value}" if valued else outcome.result
    faults = " ".join(answer_name(ret) for ret in outcome.rets)
    if faults:
        result = f"{'fast ' if outcome.fast else ''}{faults}: {result}"
    shown = dict.fromkeys(leaf_text(leaf).replace(f"pfn {leaf.pfn:#x} ", "") for leaf in leaves)
    return ", ".join([result, *shown])
