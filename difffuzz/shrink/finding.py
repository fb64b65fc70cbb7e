# SPDX-License-Identifier: GPL-2.0-only
"""Shrinks a program while its first divergence keeps its signature."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..program import Program, is_concurrent
from ..program.model import RUN_TO_BLOCK
from ..running.runner import Runner
from ..running.watchdog import HANG_SECONDS, HURRY_SECONDS
from ..sched.strategy import ScheduleStrategy
from ..sched.task import HANG
from .minimiser import MAX_TRIES, Minimiser, Stop
from .schedules import Schedules

_COMPLETE = ", complete"
_FROM = re.compile(r"from \d+ operations")


class Shrunk(NamedTuple):
    """The smallest program found; `complete`: nothing that may make it smaller was left, else
    `reason` says what ended it.  `mode`: how it is to be run."""

    program: Program
    complete: bool
    reason: str
    mode: str

    def note(self, given: Program, earlier: str = "") -> str:
        """For a program's notes: what became of the given one, and whether that is the end.

        `earlier`: the same note of the given one, if it was shrunk before.
        """
        if self.program == given and earlier.endswith(_COMPLETE):
            return earlier
        end = _COMPLETE if self.complete else f", not complete: {self.reason}"
        told = _FROM.match(earlier)
        first = told.group() if told else f"from {len(given.ops)} operations"
        return f"{first} to {len(self.program.ops)}{end}"


def shrink(
    run: Runner,
    program: Program,
    signature: str,
    seconds: float,
    stop: Stop = lambda program: False,
    tries: int = MAX_TRIES,
) -> Shrunk:
    """The smallest program found with that budget whose first divergence has this signature.

    One that ran its threads at once may end as one that needs no threads: those without a schedule
    and without `sync` are tried in lockstep.
    """
    hang = signature.endswith(HANG)
    given = program
    threads = run.is_concurrent(program)
    if threads:
        program = with_schedule(run, program)
    elif program.schedule and run.mode == "lockstep":
        program = program._replace(schedule=())
    trial = Runner(run.left, run.right, "portfolio", run.max_steps) if threads else run
    if hang:  # each try that still hangs costs this much
        trial.watchdog.seconds = HURRY_SECONDS

    def shows_it(candidate: Program) -> bool:
        if is_concurrent(candidate) and threads:  # under its own schedule, and no other
            found = trial.under(candidate, _own_schedule).divergences
        else:
            found = trial(candidate).divergences
        return bool(found) and found[0].signature == signature

    schedules = Schedules(trial, signature)
    refits = (schedules.moved, schedules.searched) if threads else ()
    minimiser = Minimiser(shows_it, seconds, tries, stop, refits)
    smallest = minimiser.shrink(program)
    trial.watchdog.seconds = HANG_SECONDS
    complete, reason = minimiser.complete, minimiser.reason
    if hang and not shows_it(smallest):
        smallest, complete, reason = given, False, "it hangs at times only"
    alone = threads and not is_concurrent(smallest)
    mode = "lockstep" if alone and run.mode == "concurrent" else run.mode
    return Shrunk(smallest, complete, reason, mode)


def _own_schedule(program: Program) -> ScheduleStrategy:
    return ScheduleStrategy(program.schedule)


def with_schedule(run: Runner, program: Program) -> Program:
    """With the schedule that it runs under, said out loud: no change of it changes that."""
    verdict = run(program)
    if verdict.divergences and verdict.schedule is not None:
        return program._replace(schedule=verdict.schedule)
    return program if program.schedule else program._replace(schedule=RUN_TO_BLOCK)
