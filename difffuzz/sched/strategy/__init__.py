# SPDX-License-Identifier: GPL-2.0-only
"""Strategies decide which task goes on; wrappers around them record and check.

Bounded exhaustive search chooses its schedules from the outside: see difffuzz/engine/explore.py.
"""

from difffuzz.sched.choice import NO_STEP, Strategy, run_to_block

from .anchored import Anchor, Anchored, Locate
from .check import Check, Nondeterminism
from .delays import Delays
from .pct import Pct
from .pos import Pos
from .random_walk import RandomWalk
from .record import Record
from .round_robin import RoundRobin
from .schedule import ScheduleStrategy
from .surw import Surw

__all__ = [
    "NO_STEP",
    "Anchor",
    "Anchored",
    "Check",
    "Delays",
    "Locate",
    "Nondeterminism",
    "Pct",
    "Pos",
    "RandomWalk",
    "Record",
    "RoundRobin",
    "ScheduleStrategy",
    "Strategy",
    "Surw",
    "run_to_block",
]
