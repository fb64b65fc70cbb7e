# SPDX-License-Identifier: GPL-2.0-only
"""What every program of the corpus with racing threads looks like."""

from __future__ import annotations

from pathlib import Path

from difffuzz.engine.concurrent import phases
from difffuzz.program import Op, Program, normalise, parse, render
from difffuzz.program.text_render import HEADER


def program_of(path: Path) -> Program:
    """The program in a file."""
    return parse(path.read_bytes(), path.name)


def check_text(path: Path) -> None:
    """It is what it is rendered as, and a few lines say what it is about."""
    program = program_of(path)
    assert parse(render(program)) == program
    assert normalise(program) == program
    lines = path.read_text().splitlines()
    assert lines[:2] == [HEADER, "# SPDX-License-Identifier: GPL-2.0-only"]
    assert [line for line in lines if not line.startswith("#")] == render(program).splitlines()
    assert 2 <= sum(line.startswith("# ") for line in lines[2:]) <= 5
    assert max(map(len, lines)) <= 100


def race_of(program: Program) -> list[Op]:
    """The operations of the one phase in which several threads run."""
    (race,) = [one for one in phases(program.ops) if len({op.thread for _, op in one}) > 1]
    return [op for _, op in race]
