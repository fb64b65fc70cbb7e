# SPDX-License-Identifier: GPL-2.0-only
"""A broken side and the program that shows it: the rows of the tables in this directory.

A row breaks the model with a unified diff and says which divergence its program must then meet.
The same program on the model as it is must meet none, nor may `near`, a program that comes close
to the bug without meeting it, on the broken side.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from difffuzz.engine import concurrent, lockstep
from difffuzz.oracle import Verdict
from difffuzz.program import Kind, Program, parse
from difffuzz.sides import open_side


class Broken(NamedTuple):
    """One way to break a side.

    `side`: legacy or tdp, the one that is broken; the other runs as it is.  `file`: below
    difffuzz/kvm.  `hunks`: the diff's hunks without their headers, a blank line between two.
    `expected`: how the signature of one divergence begins.
    """

    name: str
    side: str
    file: str
    hunks: str
    expected: str
    program: str
    near: str


def program_of(text: str) -> Program:
    """The program whose text form this is, but for the first line."""
    return parse(f"difffuzz program v1\n{text}")


def patch(file: str, hunks: str) -> str:
    """A unified diff of one file; a hunk goes where its old lines stand, so 1 is any line."""
    diff = f"--- a/difffuzz/kvm/{file}\n+++ b/difffuzz/kvm/{file}\n"
    for hunk in hunks.strip("\n").split("\n\n"):
        lines = hunk.splitlines()
        old = sum(line[0] != "+" for line in lines)
        new = sum(line[0] != "-" for line in lines)
        diff += f"@@ -1,{old} +1,{new} @@\n{hunk}\n"
    return diff


def run_broken(case: Broken, text: str, directory: Path) -> Verdict:
    """The verdict of a program on the broken side, against the other as it is."""
    path = directory / f"{case.name}.patch"
    path.write_text(patch(case.file, case.hunks))
    other = "legacy" if case.side == "tdp" else "tdp"
    return run(text, other, f"{case.side}+{path}")


def run_as_it_is(text: str, left: str = "legacy", right: str = "tdp") -> Verdict:
    """The verdict of a program on two sides that nothing was done to."""
    return run(text, left, right)


def run(text: str, left: str, right: str) -> Verdict:
    """The verdict of a program, which runs concurrently if it has a schedule or a sync."""
    program = program_of(text)
    concurrently = program.schedule or any(op.kind == Kind.SYNC for op in program.ops)
    engine = concurrent.run if concurrently else lockstep.run
    return engine(program, open_side(left), open_side(right))


def signatures(verdict: Verdict) -> list[str]:
    """The signatures of its divergences."""
    return [divergence.signature for divergence in verdict.divergences]
