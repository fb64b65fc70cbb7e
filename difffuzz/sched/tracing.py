# SPDX-License-Identifier: GPL-2.0-only
"""A scheduler that notes what each step touches: what a search with reduction needs to know.

A transition is what one task does between two decisions.  Two transitions of different tasks are
dependent if both touch the same piece of shared state and one of them may change it; all others
commute.  Shared state is named where it is touched: `Scheduler.point()` and `touch()`.
"""

from __future__ import annotations

from collections.abc import Hashable

from difffuzz.sched.core import Task
from difffuzz.sched.interleave import Interleaver

Access = tuple[Hashable, bool]
"""What was touched, and whether it may have changed."""


class Decision:
    """One choice, and the transition that follows it.

    `forced`: the task that ran before cannot go on; else it could, and going on costs nothing.
    `state` is a fingerprint of everything that happened before, up to the order of transitions
    that commute.
    """

    __slots__ = ("accesses", "chosen", "current", "enabled", "forced", "state", "step")

    def __init__(
        self, step: int, current: int, enabled: tuple[int, ...], chosen: int, forced: bool
    ) -> None:
        self.step = step
        self.current = current
        self.enabled = enabled
        self.chosen = chosen
        self.forced = forced
        self.state = 0
        self.accesses: list[Access] = []


class Tracing(Interleaver):
    """Records every decision with its accesses; the strategy must want to be asked at each step."""

    __slots__ = ("_accesses", "decisions")

    def start_tracing(self) -> None:
        """Forgets what came before."""
        self.decisions: list[Decision] = []
        self._accesses: list[Access] = []

    def touch(self, what: Hashable, write: bool = True) -> None:
        """Notes an access of the current transition."""
        if self.hub is not None:
            self._accesses.append((what, write))

    def decide(self, what: Hashable, write: bool) -> None:
        """As ever; then the task that goes on touches `what`."""
        super().decide(what, write)
        if self.hub is not None and what is not None:
            self._accesses.append((what, write))

    def note(self, enabled: list[Task], chosen: Task, forced: bool) -> None:
        """A choice was made: a transition begins."""
        numbers = tuple(task.number for task in enabled)
        decision = Decision(self.steps, self.current.number, numbers, chosen.number, forced)
        self._accesses = decision.accesses
        self.decisions.append(decision)


def fingerprints(decisions: list[Decision]) -> None:
    """Gives each decision the fingerprint of the state before it.

    Each task has a hash of its own history, in which every access brings the history of the last
    change of what it touches (and a change also those of the reads since).  Two runs that differ
    in the order of commuting transitions only have the same hashes.
    """
    tasks: dict[int, int] = {}
    written: dict[Hashable, int] = {}
    read: dict[Hashable, int] = {}
    total = 0
    for decision in decisions:
        decision.state = total
        number = decision.chosen
        old = tasks.get(number, 0)
        parts: list[int] = [number, old]
        changed: dict[Hashable, bool] = {}
        for what, write in decision.accesses:
            changed[what] = write or changed.get(what, False)
        for what, write in changed.items():
            parts.append(written.get(what, 0))
            if write:
                parts.append(read.get(what, 0))
        new = hash(tuple(parts))
        for what, write in changed.items():
            if write:
                written[what] = new
                read[what] = 0
            else:
                read[what] = read.get(what, 0) + new
        tasks[number] = new
        total += hash((number, new)) - (hash((number, old)) if old else 0)
