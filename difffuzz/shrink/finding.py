# SPDX-License-Identifier: GPL-2.0-only
"""Shrinks a program while its first divergence keeps its signature."""

from __future__ import annotations

from ..program import Program
from ..running.runner import Runner
from ..running.watchdog import HANG, HANG_SECONDS, HURRY_SECONDS
from .minimiser import Minimiser


def shrink(run: Runner, program: Program, signature: str, seconds: float) -> Program:
    """The smallest program found in that time whose first divergence has this signature."""

    hang = signature.endswith(HANG)
    if hang:  # each try that still hangs costs this much
        run.watchdog.seconds = HURRY_SECONDS

    def shows_it(candidate: Program) -> bool:
        found = run(candidate).divergences
        return bool(found) and found[0].signature == signature

    smallest = Minimiser(shows_it, seconds).shrink(program)
    run.watchdog.seconds = HANG_SECONDS
    return smallest if not hang or shows_it(smallest) else program
