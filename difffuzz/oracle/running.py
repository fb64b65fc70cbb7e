# SPDX-License-Identifier: GPL-2.0-only
"""What the threads of a concurrent run are doing, for the oracles that judge it."""

from __future__ import annotations

from collections.abc import Container

from difffuzz.oracle.invalidation_times import TimedInvalidation
from difffuzz.program import Kind, Op
from difffuzz.program.limits import THREADS

Interval = tuple[int, int]
"""When an operation began and when it was over, in steps."""


class Running:
    """What a thread is doing: its operation, when it began, and its attempt if it is in one.

    `alone`: how often tasks had been switched when the attempt took mmu_lock; `walks`: page walks
    that its vCPU had made when the operation began.
    """

    __slots__ = (
        "alone",
        "begin",
        "block",
        "entered",
        "locked",
        "obsolete",
        "op",
        "switches",
        "tried",
        "walks",
    )

    def __init__(self) -> None:
        self.op: Op | None = None
        self.begin = 0
        self.block: TimedInvalidation | None = None
        self.tried = 0
        self.locked = 0
        self.alone = 0
        self.obsolete = False
        self.switches = 0
        self.entered = 0
        self.walks = 0


class Threads:
    """All threads, by number, and the address space that each vCPU is in."""

    __slots__ = ("all", "smm")

    def __init__(self) -> None:
        self.all = [Running() for _ in THREADS]
        self.smm = [0, 0, 0, 0]

    def busy(self, past: list[Interval], begin: int, kinds: Container[Kind]) -> bool:
        """Was an operation of these kinds going on at some moment since `begin`?

        `past` are those that are over, in the order of their ends.
        """
        if past and past[-1][1] >= begin:
            return True
        return any(run.op is not None and run.op.kind in kinds for run in self.all)
