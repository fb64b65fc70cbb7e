# SPDX-License-Identifier: GPL-2.0-only
"""Shrinks a program while its first divergence keeps its signature."""

from __future__ import annotations

from typing import NamedTuple

from ..program import Program
from ..running.runner import Runner
from ..running.watchdog import HANG_SECONDS, HURRY_SECONDS
from ..sched.task import HANG
from .minimiser import Minimiser, Stop


class Shrunk(NamedTuple):
    """The smallest program found; `complete`: there was time for all that may make it smaller."""

    program: Program
    complete: bool


def shrink(
    run: Runner,
    program: Program,
    signature: str,
    seconds: float,
    stop: Stop = lambda program: False,
) -> Shrunk:
    """The smallest program found in that time whose first divergence has this signature."""

    hang = signature.endswith(HANG)
    if hang:  # each try that still hangs costs this much
        run.watchdog.seconds = HURRY_SECONDS

    def shows_it(candidate: Program) -> bool:
        found = run(candidate).divergences
        return bool(found) and found[0].signature == signature

    minimiser = Minimiser(shows_it, seconds, stop=stop)
    smallest = minimiser.shrink(program)
    run.watchdog.seconds = HANG_SECONDS
    if hang and not shows_it(smallest):
        smallest = program
    return Shrunk(smallest, minimiser.complete)
