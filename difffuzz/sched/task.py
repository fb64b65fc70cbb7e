# SPDX-License-Identifier: GPL-2.0-only
"""A task: one thread of the kernel, what it holds and waits for, and how its kernel complains."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from greenlet import greenlet

from difffuzz.sched.store_buffer import StoreBuffer

HANG = "hang"
"""Where an execution is, or a loop without preemption points, that only a timer can end."""
HARNESS = "harness"
"""The oracle of a finding that is a fault of difffuzz itself."""


class KernelSplat(Exception):
    """What a kernel would report in its log: a failed assertion, a bad lock, a use after free.

    `oracle` is the oracle that owns it (lock, rcu, uaf, warn, crash, deadlock, progress), `where`
    the kernel function that found it, `text` what was wrong.
    """

    def __init__(self, oracle: str, where: str, text: str) -> None:
        super().__init__(f"{oracle}: {where}: {text}")
        self.oracle = oracle
        self.where = where
        self.text = text


class HeldLock(Protocol):
    """A lock as the task that holds it knows it (locks.py has what it can do)."""

    @property
    def name(self) -> str:
        """What a splat calls it."""

    @property
    def rank(self) -> int:
        """Its place in the lock order."""

    @property
    def sleeps(self) -> bool:
        """Its holder may sleep."""

    @property
    def writer(self) -> Task | None:
        """Who holds it exclusively."""


class Task:
    """One thread of the kernel, with the state that lock and RCU checking needs."""

    __slots__ = (
        "atomic",
        "blocked_on",
        "buffer",
        "changes",
        "glet",
        "held",
        "name",
        "number",
        "operation",
        "owner",
        "parked",
        "parked_at",
        "ran_at",
        "rcu_depth",
        "rcu_section",
        "ready",
        "relaxed_at",
        "srcu",
        "starves",
        "want_park",
        "wants",
    )

    def __init__(self, name: str, number: int = -1) -> None:
        self.name = name
        self.number = number
        self.glet: greenlet | None = None
        self.held: list[HeldLock] = []
        self.atomic = 0
        self.rcu_depth = 0
        self.rcu_section = 0
        self.srcu = 0
        self.blocked_on: str | None = None
        self.buffer: StoreBuffer | None = None
        """Where its stores wait, if any may be delayed."""
        self.owner: Task | None = None
        """Not a thread, but the store buffer of this one, as strategies see it."""
        self.ready: Callable[[], bool] | None = None
        self.operation = -1
        """Index in the program of the one that it began last."""
        self.parked = False
        self.parked_at = 0
        self.ran_at = -1
        self.relaxed_at = -1
        self.starves: list[Task] = []
        self.want_park = False
        self.wants: Hashable = None
        """What it touches next, if it was stopped before it did; `changes`: maybe changes."""
        self.changes = False

    @property
    def alive(self) -> bool:
        """True while the task has a greenlet with work left."""
        return self.glet is not None and not self.glet.dead

    def assert_idle(self, where: str) -> None:
        """A task that returns to user space holds no lock and is in no RCU section."""
        if self.held:
            raise KernelSplat("lock", where, f"returns with {self.held[-1].name} held")
        if self.rcu_depth:
            raise KernelSplat("rcu", where, "returns inside an RCU read section")
