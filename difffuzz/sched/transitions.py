# SPDX-License-Identifier: GPL-2.0-only
"""What is known of a run's transitions: the notes that tracing.py takes and a search reads.

A transition is what one task does between two decisions.  Two transitions of different tasks are
dependent if both touch the same piece of shared state and one of them may change it; all others
commute.  Shared state is named where it is touched: `Scheduler.point()` and `touch()`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

Locks = frozenset[tuple[str, bool]]
"""Locks that are held, each with whether exclusively."""
Access = tuple[Hashable, bool, "Locks | None"]
"""What was touched, whether it may have changed, under which locks; None: the release of a lock."""
NO_LOCKS: Locks = frozenset()


class Decision:
    """One choice, and the transition that follows it.

    `forced`: the task that ran before cannot go on; else it could, and going on costs nothing.
    `state` is a fingerprint of everything that happened before, up to the order of transitions
    that commute.  `live`: the operation, counted from the start of the phase, that each task is at
    which has not ended; `before`: what a run that departs here begins its notes with; `torn`: SPTEs
    that the transition changes and its task has touched before in the same operation.
    """

    __slots__ = (
        "accesses",
        "before",
        "chosen",
        "current",
        "enabled",
        "forced",
        "live",
        "phase",
        "state",
        "step",
        "torn",
    )

    def __init__(
        self, step: int, current: int, enabled: tuple[int, ...], chosen: int, forced: bool
    ) -> None:
        self.step = step
        self.current = current
        self.enabled = enabled
        self.chosen = chosen
        self.forced = forced
        self.state = 0
        self.phase = 0
        self.live: dict[int, int] = {}
        self.before: Snapshot | None = None
        self.torn: tuple[Hashable, ...] = ()
        self.accesses: list[Access] = []


class Snapshot(NamedTuple):
    """The notes on what came before a decision: runs that are the same up to it can share them."""

    operations: dict[int, int]
    tasks: dict[int, int]
    written: dict[Hashable, int]
    read: dict[Hashable, int]
    touched: dict[int, set[Hashable]]


def is_spte(what: Hashable) -> bool:
    """SPTEs are named by their addresses."""
    return isinstance(what, int)
