# SPDX-License-Identifier: GPL-2.0-only
"""A program made of a trace, replayed on a side: does each fault end as the trace says?"""

from __future__ import annotations

from typing import NamedTuple

from difffuzz.engine.conform import run_op
from difffuzz.facts.kvm import answer_name
from difffuzz.sides import KvmFactory
from difffuzz.trace.rebuild import Expected, Rebuilt


class Difference(NamedTuple):
    """A fault that ended otherwise: the trace's line, the operation, and what was said of it."""

    line: int
    op: int
    what: str
    """RET_PF, level, or outcome: the side did not survive it, and the program ends there."""
    traced: str
    replayed: str

    @property
    def text(self) -> str:
        """One line."""
        return (
            f"line {self.line}, operation {self.op}: {self.what}: {self.traced} in the trace, "
            f"{self.replayed} here"
        )


class Agreement(NamedTuple):
    """Of one program: accesses that were compared, how many agree, and where the others differ."""

    compared: int
    agreed: int
    differences: list[Difference]


def agreement(one: Rebuilt, factory: KvmFactory) -> Agreement:
    """Runs the program and compares RET_PF of each fault and the level that is mapped after it.

    RET_PF_WRITE_PROTECTED is EMULATE here, as in `facts/kvm.py`.
    """
    side = factory.start(one.program.config)
    expected = {it.op: it for it in one.expected}
    compared = agreed = 0
    differences: list[Difference] = []
    for number, op in enumerate(one.program.ops):
        outcome = run_op(side, op, number + 1)
        it = expected.get(number)
        if isinstance(outcome, str):
            line = it.line if it is not None else one.lines[0]
            differences.append(Difference(line, number, "outcome", "it went on", outcome))
            return Agreement(compared + 1, agreed, differences)
        if it is None:
            continue
        compared += 1
        rets = tuple(map(answer_name, outcome.rets))
        leaves = side.tables.leaves_in(0, it.gfn, it.gfn + 1)
        levels = {leaf.level for _, leaf in leaves}
        found = _difference(it, rets, levels)
        if found is None:
            agreed += 1
        else:
            differences.append(found)
    return Agreement(compared, agreed, differences)


def _difference(it: Expected, rets: tuple[str, ...], levels: set[int]) -> Difference | None:
    traced = tuple("EMULATE" if answer == "WRITE_PROTECTED" else answer for answer in it.answers)
    if traced and traced != rets:
        return Difference(it.line, it.op, "RET_PF", " ".join(traced), " ".join(rets) or "no fault")
    if it.level and levels != {it.level}:
        shown = ", ".join(map(str, sorted(levels))) or "none"
        return Difference(it.line, it.op, "level", str(it.level), shown)
    return None
