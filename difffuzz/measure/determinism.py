# SPDX-License-Identifier: GPL-2.0-only
"""Runs random programs concurrently, twice each, and prints a digest of everything they did.

The digest depends on the programs only: not on the process, the version of Python, or the machine.
Exit status 1: two runs of a program differ.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
from collections.abc import Sequence
from random import Random

from ..engine import concurrent
from ..engine.concurrent import Event
from ..program import Program, generate
from ..sched.strategy import Check, RandomWalk, ScheduleStrategy, Strategy
from ..sched.strategy.check import Choice
from ..script import end, note
from ..sides import open_side

LEGACY = open_side("legacy")
TDP = open_side("tdp")
MAX_STEPS = 60_000


def strategy(program: Program) -> Strategy:
    """The program's schedule, or a random walk that depends on its length."""
    if program.schedule:
        return ScheduleStrategy(program.schedule)
    return RandomWalk(Random(len(program.ops)), 20.0)


def trace(
    program: Program, expected: Sequence[list[Choice]] = ()
) -> tuple[str, list[list[Choice]]]:
    """Every event on both sides, who went on where, what each operation did; and all choices of the
    scheduler, run by run.  A choice that is not the expected one crashes the run, and is told."""
    checks: list[Check] = []

    def checked(one: Program) -> Strategy:
        at = len(checks)
        checks.append(Check(strategy(one), expected[at] if at < len(expected) else None))
        return checks[-1]

    verdict = concurrent.run(
        program, LEGACY, TDP, strategy=checked, trace=True, max_steps=MAX_STEPS
    )
    lines = [repr(tuple(one)) for one in verdict.divergences]
    for event in verdict.trace:
        assert isinstance(event, Event)
        outcome = event.outcome
        did = (
            None if outcome is None else (outcome.result, outcome.value, outcome.pfn, outcome.rets)
        )
        what = event.place.what
        lines.append(f"{event.side} {event.step} {event.thread} {event.op} {did} {what}")
    return "\n".join([*lines, f"{verdict.steps}"]), [check.choices for check in checks]


def first_difference(first: str, again: str) -> str:
    """The first line of the second run that the first has not: of divergences, then of events."""
    pairs = zip(first.split("\n"), again.split("\n"), strict=False)
    return next((other for one, other in pairs if one != other), "one run ends sooner")


def main() -> int:
    """Runs everything and prints one line."""
    parser = argparse.ArgumentParser(prog="scripts/determinism", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="programs")
    count = parser.parse_args().count
    digest = hashlib.sha256()
    different = 0
    for seed in range(count):
        program = generate(Random(seed), concurrent=True)
        first, choices = trace(program)
        again, _ = trace(program, choices)
        if again != first:
            different += 1
            note(f"program {seed}: {first_difference(first, again)}")
        digest.update(first.encode())
    version = platform.python_version()
    print(
        f"{count} programs twice, {different} differ, digest {digest.hexdigest()[:16]} ({version})"
    )
    return 1 if different else 0


if __name__ == "__main__":
    end("determinism", main)
