# SPDX-License-Identifier: GPL-2.0-only
"""Runs an example of the reference and writes behind each operation what came of it."""

from __future__ import annotations

from collections.abc import Iterator

from ..engine import lockstep
from ..engine.lockstep import Step
from ..facts.kvm import answer_name
from ..oracle import Verdict
from ..oracle.answers import AGING
from ..program import Kind, parse
from ..report.explain import leaf_text, young_text
from ..sides import open_side
from ..sides.base import DONE, ERROR, MMIO, NOTHING, SIGBUS, Leaf, Outcome
from .examples import Example

TELLING = frozenset(
    {
        Kind.COLLAPSE, Kind.DIRTY_CLEAR, Kind.HOST_READ, Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE,
        Kind.MEMSLOT_FLAGS, Kind.MEMSLOT_MOVE, Kind.MMU_PAGES, Kind.MREMAP, Kind.PUNCH_HOLE,
        Kind.TRACK_ADD, Kind.TRACK_REMOVE, Kind.UFFD,
    }
)  # fmt: skip
"""Beside guest accesses: operations whose answer is a number that a reader can use."""


def verdict_of(example: Example) -> Verdict:
    """The run of an example that models can run, one operation at a time, with its trace."""
    left, right = map(open_side, example.sides)
    return lockstep.run(parse(example.text), left, right, trace=True)


def answered(example: Example) -> str:
    """The example's text with answers as comments; as it is if no model runs it."""
    if not example.sides:
        return example.text
    said = {step.op_index: _answer(step) for step in _steps(verdict_of(example))}
    lines = example.text.splitlines()
    operations = [at for at, line in enumerate(lines) if line.partition(" ")[0].endswith(":")]
    width = max(len(lines[at]) for at in operations)
    for index, at in enumerate(operations):
        if said.get(index):
            lines[at] = f"{lines[at]:<{width}}  # {said[index]}"
    return "\n".join(lines) + "\n"


def _steps(verdict: Verdict) -> Iterator[Step]:
    for step in verdict.trace:
        assert isinstance(step, Step)
        yield step


def _answer(step: Step) -> str:
    """What both sides answered; each by itself where they differ."""
    maps = (*step.maps, (), ())
    left, right = (
        _one(step.op.kind, outcome, leaves)
        for outcome, leaves in zip((step.left, step.right), maps, strict=False)
    )
    return left if left == right or not right else f"{left} | {right}"


def _one(kind: Kind, outcome: Outcome | None, leaves: tuple[Leaf, ...]) -> str:
    assert outcome is not None
    if kind in AGING:
        return young_text(outcome).removeprefix(f"{DONE}, ")
    if outcome.bitmap is not None:
        return f"{sum(mask.bit_count() for mask in outcome.bitmap.values())} dirty"
    if kind in TELLING:
        return str(outcome.value)
    if outcome.parked and not outcome.rets:
        return "parked"
    if outcome.result in (DONE, NOTHING):
        return ""
    bare = outcome.result in (MMIO, SIGBUS)
    parts = [outcome.result if bare else f"{outcome.result} {outcome.value}"]
    if outcome.result != ERROR:
        parts += [answer_name(ret) for ret in outcome.rets]
    parts += [leaf_text(leaf).replace(f"pfn {leaf.pfn:#x} ", "") for leaf in leaves[:1]]
    return ", ".join(parts)
