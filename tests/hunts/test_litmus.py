# SPDX-License-Identifier: GPL-2.0-only
"""Hunts with the catalogue's program: once, or under schedules, those with one preemption first."""

from __future__ import annotations

from itertools import islice

from difffuzz.hunts.judge import Judge
from difffuzz.hunts.litmus import STEPS, litmus, scheduled
from difffuzz.hunts.row import Row
from difffuzz.program import parse
from difffuzz.running.runner import Runner
from difffuzz.variants.catalogue import Bug, find


def row_of(bug: Bug) -> Row:
    return Row(id=bug.id, method="litmus", seed=1, concurrent=bug.concurrent, budget=0.0)


def test_a_lockstep_bug_takes_one_execution() -> None:
    bug = find("own-clear-log-edge")
    row = row_of(bug)
    litmus(bug, row, Judge(Runner(*bug.sides(), "lockstep"), bug.plain_sides()), 10.0)
    assert row.found
    assert row.executions == 1
    assert parse(row.program) == parse(bug.program)


def test_without_the_bug_nothing_is_found() -> None:
    bug = find("own-clear-log-edge")
    row = row_of(bug)
    litmus(bug, row, Judge(Runner(*bug.plain_sides(), "lockstep"), bug.plain_sides()), 10.0)
    assert not row.found
    assert row.executions == 1
    assert row.signature == row.program == ""


def test_schedules_with_one_preemption_come_first() -> None:
    program = parse(find("21a36ac6b6c7").program)
    threads = {op.thread for op in program.ops}
    first = (STEPS - 1) * len(threads)
    made = list(islice(scheduled(program, 1), first + 20))
    assert {one.schedule for one in made[:first]} == {
        ((step, thread),) for step in range(1, STEPS) for thread in threads
    }
    assert all(2 <= len(one.schedule) <= 4 for one in made[first:])
    assert made == list(islice(scheduled(program, 1), first + 20))
