# SPDX-License-Identifier: GPL-2.0-only
"""The programs that scripts/explore searches, and how far."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...program import Program, parse
from ...shipped import CORPUS
from ...variants.catalogue import catalogue


class Task(NamedTuple):
    """A program to explore; `sides` are those to search, each on its own if `patched`."""

    name: str
    program: Program
    sides: tuple[str, ...]
    patched: bool = False


class Limits(NamedTuple):
    """How far each search goes."""

    preemptions: int
    seconds: float
    bound: int
    compare: float
    deeper: bool


def tasks() -> Iterator[Task]:
    """Everything there is to explore."""
    for path in sorted((CORPUS / "concurrent").glob("*.difffuzz")):
        yield Task(path.stem, parse(path.read_text(), path.name), ("legacy", "tdp"))
    for bug in catalogue():
        if bug.concurrent and not bug.held:
            own_programs = [one for one in bug.kernels if one in bug.programs]
            for kernel in ([""] if bug.is_on("") else []) + own_programs:
                name = f"{bug.id}@{kernel}" if kernel else bug.id
                parsed = parse(bug.program_on(kernel), name)._replace(schedule=())
                if not kernel:
                    yield Task(name, parsed, bug.plain_sides())
                patch = str(bug.patch_on(kernel))
                own = tuple(side for side in bug.sides(kernel) if patch in side)
                yield Task(name, parsed, own, patched=True)
