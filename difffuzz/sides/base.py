# SPDX-License-Identifier: GPL-2.0-only
"""What a side is: one way to run a program, one operation at a time."""

from __future__ import annotations

from typing import Protocol

from difffuzz.machine.host import HostMM
from difffuzz.program import Config, Op
from difffuzz.sched import Scheduler

OK = "ok"
MMIO = "mmio"
SIGBUS = "sigbus"
ERROR = "error"
STUCK = "stuck"
DONE = "done"
NOTHING = "nothing"
FAULT = "fault"


class Outcome:
    """What one operation did on one side.

    `result`: ok, mmio, sigbus, error, stuck for guest accesses (stuck: too many attempts); fault
    for one that ends in a #PF of the guest, whose error code is `value`;
    done or nothing for the rest.  `value`: what a read returned, or an ioctl's return value.
    `pfn`: the 4K frame that the access used, -1 if none.  `rets`: RET_PF_* (or -errno) of each
    attempt to handle a fault.  `fast`: of those, how many were fixed without mmu_lock.  `parked`:
    a fault waits, or waited, in its handler; `parked_ret`: what it returned
    then, the last of the first `parked_rets` of `rets`.  `fault_gfn`,
    `access`: of that fault.  `bitmap`: the words of a dirty log.
    """

    __slots__ = (
        "access",
        "bitmap",
        "fast",
        "fault_gfn",
        "parked",
        "parked_ret",
        "parked_rets",
        "pfn",
        "result",
        "rets",
        "value",
    )

    def __init__(self, result: str = DONE, value: int = 0) -> None:
        self.result = result
        self.value = value
        self.pfn = -1
        self.rets: tuple[int, ...] = ()
        self.fast = 0
        self.parked = False
        self.parked_ret = -1
        self.parked_rets = 0
        self.access = 0
        self.fault_gfn = -1
        self.bitmap: dict[int, int] | None = None


class Leaf:
    """A present leaf of a side's page tables, for one 4K gfn below it."""

    __slots__ = ("executable", "level", "pfn", "writable")

    def __init__(self, pfn: int, level: int, writable: bool, executable: bool) -> None:
        self.pfn = pfn
        self.level = level
        self.writable = writable
        self.executable = executable


class Side(Protocol):
    """One way to run a program, started with its configuration."""

    name: str
    mm: HostMM
    sched: Scheduler

    def execute(self, op: Op, number: int) -> Outcome:
        """Runs one operation; `number` is unique to it, and what a write writes."""

    def destroy(self) -> None:
        """Destroys the VM."""


class SideFactory(Protocol):
    """Starts a side for a program."""

    name: str
    step_limit: int
    """Preemption points that one run of a program may pass before it counts as an endless loop."""

    def start(self, config: Config) -> Side:
        """A side, ready for the first operation."""
