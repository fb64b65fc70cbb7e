# SPDX-License-Identifier: GPL-2.0-only
"""A scheduler that notes what each step touches: what a search with reduction needs to know.

transitions.py has what it notes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.task import HeldLock, Task
from difffuzz.sched.transitions import NO_LOCKS, Access, Decision, Locks, Snapshot, is_spte


class Merged(BaseException):
    """The run has come to a state that was dealt with before: there is nothing new to see."""


class Strayed(Merged):
    """The run did not come to the decision that its notes were to begin with."""


class Tracing(Interleaver):
    """Records every decision with its accesses; the strategy must want to be asked at each step.

    `merged`, if set, is asked at each decision whether the run may end there; `worth`, when its
    transition is over, whether others may depart from it and want to begin with its notes.  With a
    decision that has some, notes begin there; before it, the strategy need not be asked, and
    neither where the phase is not `watched`: with `only`, counted from 1, that one is.

    Fingerprints: each task has a hash of its own history, in which every access brings the history
    of the last change of what it touches (and a change also those of the reads since).  Two runs
    that differ in the order of commuting transitions only come to the same hashes.
    """

    __slots__ = (
        "_accesses",
        "_noting",
        "_only",
        "_operations",
        "_phase",
        "_read",
        "_since",
        "_state",
        "_tasks",
        "_touched",
        "_written",
        "decisions",
        "merged",
        "worth",
    )

    def start_tracing(
        self,
        merged: Callable[[Decision], bool] | None,
        worth: Callable[[Decision], bool] | None,
        since: Decision | None = None,
        only: int = 0,
    ) -> None:
        """Forgets what came before."""
        self.merged = merged
        self.worth = worth
        self.decisions: list[Decision] = []
        self._since = since
        self._only = only
        self._noting = self.watched = False
        self._phase = 0
        self._operations: dict[int, int] = {}
        self._accesses: list[Access] = []
        self._tasks: dict[int, int] = {}
        self._written: dict[Hashable, int] = {}
        self._read: dict[Hashable, int] = {}
        self._touched: dict[int, set[Hashable]] = {}
        self._state = 0

    def run(self, bodies: Sequence[tuple[Task, Callable[[], None]]]) -> None:
        """A phase."""
        self._phase += 1
        self.watched = self._only in (0, self._phase)
        self._noting = self.watched and (self._noting or self._since is None)
        self._operations = {task.number: 0 for task, _ in bodies}
        super().run(bodies)

    def touch(self, what: Hashable, write: bool = True) -> None:
        """Notes an access of the current transition."""
        if self.hub is not None and self._noting:
            self._accesses.append((what, write, self._locks()))

    def released(self, lock: HeldLock, exclusive: bool) -> None:
        """Whoever takes the lock next comes after this."""
        super().released(lock, exclusive)
        if self.hub is not None and self._noting:
            self._accesses.append((lock.name, exclusive, None))

    def _locks(self) -> Locks:
        held = self.current.held
        if not held:
            return NO_LOCKS
        return frozenset([(lock.name, lock.writer is not None) for lock in held])

    def decide(self, what: Hashable, write: bool) -> None:
        """As ever; then the task that goes on touches `what`."""
        if what == "operation" and self.hub is not None and self._noting:
            self._operations[self.current.number] += 1
        super().decide(what, write)
        if self.hub is not None and self._noting and what is not None:
            self._accesses.append((what, write, self._locks()))

    def relax(self) -> None:
        """Ends the transition, whether there is another task that can go on or not."""
        if self.hub is not None and self._noting:
            current = self.current
            if all(task is current for task in self.enabled()):
                self.note([current], current, True)
        super().relax()

    def note(self, enabled: list[Task], chosen: Task, forced: bool) -> None:
        """A choice was made: a transition begins.  Merged ends the run."""
        if self.decisions:
            self._advance(self.decisions[-1])
        numbers = tuple([task.number for task in enabled])
        decision = Decision(self.steps, self.current.number, numbers, chosen.number, forced)
        if not self._noting:
            self._begin(decision)
        decision.state = self._state
        if self.merged is not None and self.merged(decision):
            raise Merged
        operations = self._operations
        decision.phase = self._phase
        decision.live = {task.number: operations[task.number] for task in self.live}
        self._accesses = decision.accesses
        self.decisions.append(decision)

    def fingerprint(self) -> int:
        """Of the whole run, which is over."""
        if self.decisions:
            self._advance(self.decisions[-1])
        return self._state

    def _begin(self, decision: Decision) -> None:
        """Notes begin here.  Strayed if this is another decision than the one that is known."""
        known = self._since
        assert known is not None
        since = known.before
        assert since is not None
        if (known.step, known.current, known.enabled, known.forced, known.phase) != (
            decision.step,
            decision.current,
            decision.enabled,
            decision.forced,
            self._phase,
        ):
            raise Strayed
        self._noting = True
        self._state = known.state
        self._operations = since.operations.copy()
        self._tasks = since.tasks.copy()
        self._written = since.written.copy()
        self._read = since.read.copy()
        self._touched = since.touched.copy()

    def _advance(self, decision: Decision) -> None:
        """Adds a transition that is over to the fingerprint."""
        written, read = self._written, self._read
        if self.worth is not None and self.worth(decision):
            # The number of operations is that of the decision: one begins with a transition.
            operations = self._operations | decision.live
            decision.before = Snapshot(
                operations,
                self._tasks.copy(),
                written.copy(),
                read.copy(),
                self._touched.copy(),
            )
        number = decision.chosen
        old = self._tasks.get(number, 0)
        parts: list[int] = [number, old]
        changed: dict[Hashable, bool] = {}
        for what, write, _ in decision.accesses:
            changed[what] = write or changed.get(what, False)
        for what, write in changed.items():
            parts.append(written.get(what, 0))
            if write:
                parts.append(read.get(what, 0))
        # Sets are shared with snapshots: never changed.
        touched = self._touched.get(number) if "operation" not in changed else None
        if touched:
            decision.torn = tuple(
                [one for one, write in changed.items() if write and one in touched and is_spte(one)]
            )
        self._touched[number] = touched | changed.keys() if touched else set(changed)
        new = hash(tuple(parts))
        for what, write in changed.items():
            if write:
                written[what] = new
                read[what] = 0
            else:
                read[what] = read.get(what, 0) + new
        self._tasks[number] = new
        self._state += hash((number, new)) - (hash((number, old)) if old else 0)
