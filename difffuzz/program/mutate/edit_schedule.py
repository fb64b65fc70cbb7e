# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: change the schedule: switches between threads, and where all of them meet."""

from __future__ import annotations

from random import Random
from typing import Final

from ..limits import MAX_OPS, MAX_STEP, THREADS, VMM_THREAD
from ..model import Op, Program
from ..normalise import normalise_schedule
from ..ops import Kind

name: Final = "edit_schedule"
_SHIFTS: Final = (-8, -2, -1, 1, 2, 8)
_MEET: Final = 0.15
_REACH: Final = 64
"""How far behind the last switch a new one may stand, in preemption points."""

Switch = tuple[int, int]


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """The program with another schedule; its operations are the same, `sync` apart."""
    if rng.random() < _MEET:
        return _meet(program, rng)
    switches = list(program.schedule)
    way = rng.random()
    if not switches or way < 0.4:
        last = switches[-1][0] if switches else 0
        step = int(rng.random() * (last + _REACH))
        switches.append((min(step, MAX_STEP - 1), _thread(program, rng)))
    else:
        at = int(rng.random() * len(switches))
        if way < 0.6:
            del switches[at]
        elif way < 0.8:
            switches[at] = (switches[at][0], _thread(program, rng))
        else:
            _shift(switches, at, rng)
    return program._replace(schedule=normalise_schedule(tuple(switches)))


def _meet(program: Program, rng: Random) -> Program:
    """One place more, or one less, where all threads meet."""
    ops = list(program.ops)
    at = [n for n, op in enumerate(ops) if op.kind is Kind.SYNC]
    if at and rng.random() < 0.5:
        del ops[rng.choice(at)]
    elif len(ops) < MAX_OPS:
        ops.insert(int(rng.random() * (len(ops) + 1)), Op(Kind.SYNC, VMM_THREAD))
    return program._replace(ops=tuple(ops))


def _shift(switches: list[Switch], at: int, rng: Random) -> None:
    """Move one switch, or it and all behind it, a few steps; never before the first step."""
    by = rng.choice(_SHIFTS)
    end = len(switches) if rng.random() < 0.5 else at + 1
    for n in range(at, end):
        step, thread = switches[n]
        switches[n] = (min(max(step + by, 0), MAX_STEP - 1), thread)


def _thread(program: Program, rng: Random) -> int:
    """A thread that has something to do."""
    if program.ops:
        return rng.choice(program.ops).thread
    return int(rng.random() * len(THREADS))
