# SPDX-License-Identifier: GPL-2.0-only
"""Passes: fewer switches between threads, and earlier ones."""

from __future__ import annotations

from ...program import Program, normalise
from ..proposals import Proposals, plainer_numbers


def drop_switches(program: Program) -> Proposals:
    """Leave out runs of the schedule's switches.

    Pays for programs with a schedule only.  Costs some 2 s proposals for s switches.  Keeps
    operations and the steps of the switches that stay.
    """
    width = len(program.schedule)
    while width:
        end = len(program.schedule)
        while end > 0:
            start = max(0, end - width)
            schedule = program.schedule[:start] + program.schedule[end:]
            shorter = normalise(program._replace(schedule=schedule))
            if (yield shorter):
                program = shorter
            end = start
        width //= 2


def earlier_switches(program: Program) -> Proposals:
    """Make one step of the schedule earlier.

    Pays last: a step means another place as soon as an operation changes.  Costs up to ten
    proposals a switch.  Keeps operations, and the number of switches unless two meet.
    """
    for at in range(len(program.schedule)):
        if at >= len(program.schedule):  # two switches met in one step
            return
        for plain in plainer_numbers(program.schedule[at][0]):
            schedule = program.schedule
            changed = (*schedule[:at], (plain, schedule[at][1]), *schedule[at + 1 :])
            plainer = normalise(program._replace(schedule=changed))
            if (yield plainer):
                program = plainer
                break
