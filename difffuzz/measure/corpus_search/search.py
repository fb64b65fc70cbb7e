# SPDX-License-Identifier: GPL-2.0-only
"""Searches one program: that it is quiet without a patch, and how soon it shows a bug with it."""

from __future__ import annotations

import time

import msgspec

from ...engine.explore import Exploration, explore, explore_side
from ...sides import open_side
from .tasks import Limits, Task


class Unreduced(msgspec.Struct):
    """The same search without the reduction."""

    schedules: int
    complete: bool
    seconds: float
    divergences: list[str]


class Searched(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A row of the table."""

    program: str
    patched: bool
    preemptions: int
    schedules: int
    complete: bool
    seconds: float
    divergences: list[str]
    """Signatures."""
    shown: list[list[tuple[int, int]]]
    """The schedule of each."""
    unreduced: Unreduced | None = None
    same_ends: bool | None = None
    """Both searches were complete: did they show the same?"""
    deeper: bool = False
    """With one preemption more than was asked for."""

    @property
    def good(self) -> bool:
        """Is this what it should be?"""
        if self.patched:
            return bool(self.divergences)
        return not self.divergences and (self.complete or self.deeper)


def search(task: Task, limits: Limits) -> list[Searched]:
    """The rows of the table for a program."""
    if task.patched:
        return [find(task, limits)]
    row = quiet(task, limits.preemptions, limits)
    rows = [row]
    if limits.compare:
        full, spent = run(task, limits.preemptions, limits.compare, reduce=False)
        row.unreduced = Unreduced(full.schedules, full.complete, spent, signatures(full))
        if full.complete and row.complete:
            row.same_ends = signatures(full) == row.divergences
    if limits.deeper and row.complete:
        deeper = quiet(task, limits.preemptions + 1, limits)
        deeper.deeper = True
        rows.append(deeper)
    return rows


def quiet(task: Task, preemptions: int, limits: Limits) -> Searched:
    """The search that must find nothing."""
    found, spent = run(task, preemptions, limits.seconds)
    return searched(task, preemptions, found, spent)


def run(
    task: Task, preemptions: int, seconds: float, *, reduce: bool = True
) -> tuple[Exploration, float]:
    """One search of both sides, and its seconds."""
    left, right = map(open_side, task.sides)
    begin = time.monotonic()
    found = explore(task.program, left, right, preemptions, seconds=seconds, reduce=reduce)
    return found, round(time.monotonic() - begin, 2)


def find(task: Task, limits: Limits) -> Searched:
    """The least number of preemptions that shows the bug."""
    preemptions = 0
    while True:
        begin = time.monotonic()
        found = Exploration()
        for number, side in enumerate(task.sides):
            explore_side(
                task.program,
                open_side(side),
                number,
                preemptions,
                found,
                deadline=begin + limits.seconds,
                first_only=True,
            )
        if found.shown or preemptions >= limits.bound:
            return searched(task, preemptions, found, round(time.monotonic() - begin, 2))
        preemptions += 1


def searched(task: Task, preemptions: int, found: Exploration, seconds: float) -> Searched:
    """The row of a search; one for a bug is complete as soon as it shows it."""
    return Searched(
        program=task.name,
        patched=task.patched,
        preemptions=preemptions,
        schedules=found.schedules,
        complete=found.complete or (task.patched and bool(found.shown)),
        seconds=seconds,
        divergences=signatures(found),
        shown=[list(one.schedule) for one in found.shown],
    )


def signatures(found: Exploration) -> list[str]:
    """What a search showed."""
    return sorted({one.divergence.signature for one in found.shown})
