# SPDX-License-Identifier: GPL-2.0-only
"""Runs findings again, on what their sides are today: does each still show?"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ..errors import UsageError
from ..program import Program, ProgramError
from ..running.runner import Runner
from ..sides import open_side
from ..sides.identity import identity
from .record import CLOSED, Event, Record, State, plain_signature
from .store import Store, now


class Retest(NamedTuple):
    """What came of one finding.  `error`: why it could not be run."""

    record: Record
    shown: int = 0
    runs: int = 0
    error: str = ""

    @property
    def word(self) -> str:
        """shows, gone or error."""
        return "error" if self.error else "shows" if self.shown else "gone"


def retest(store: Store, record: Record, times: int = 1) -> Retest:
    """Runs the finding's program `times` times on its sides, and keeps what came of it.

    One that no longer shows is closed as fixed; one that was and shows again is new again.  What a
    person said of it, that it is invalid, stays.
    """
    if not record.program:
        return Retest(record, error="its program is not in the store")
    try:
        digests = identity(record.left), identity(record.right)
        runner = _runner(record.left, record.right, record.mode, digests)
        program = record.parsed()
    except (UsageError, ProgramError) as error:
        return Retest(record, error=str(error))
    shown = sum(_shows(runner, record, program) for _ in range(times))
    if digests != (record.left_digest, record.right_digest):
        record.shown = record.runs = 0  # another tree: what was counted is not of it
    record.shown += shown
    record.runs += times
    at = now()
    sides = f"on {record.left} ({digests[0]}) and {record.right} ({digests[1]})"
    events = [Event(at, "shown" if shown else "gone", f"{shown} of {times} {sides}")]
    if shown:
        record.last_seen = at
        record.left_digest, record.right_digest = digests
        if record.state is State.FIXED:
            record.state = State.NEW
            events.append(Event(at, "state", "new: it was fixed, and shows again"))
    elif record.state not in CLOSED:
        events.append(Event(at, "state", f"fixed: it was {record.state}, and shows no more"))
        record.state = State.FIXED
    store.put(record, *events)
    return Retest(record, shown, times)


def mended_by(record: Record, patch: str) -> bool:
    """True if the finding does not show once the patch is applied to those of its sides on which it
    applies.  UsageError: it applies to neither."""
    sides = []
    refused: UsageError | None = None
    for name in (record.left, record.right):
        try:
            open_side(f"{name}+{patch}")
            sides.append(f"{name}+{patch}")
        except UsageError as error:
            refused = refused or error
            sides.append(name)
    if refused and sides == [record.left, record.right]:
        raise refused
    digests = identity(sides[0]), identity(sides[1])
    runner = _runner(sides[0], sides[1], record.mode, digests)
    return not _shows(runner, record, record.parsed())


@lru_cache(maxsize=16)
def _runner(left: str, right: str, mode: str, digests: tuple[str, str]) -> Runner:
    """One for all findings of the same sides, as long as these are made of the same: a build that
    was loaded stays loaded."""
    return Runner(left, right, mode)


def _shows(runner: Runner, record: Record, program: Program) -> bool:
    """Does the program show the finding?  A race ends at the first side that breaks: where that is
    the left one, and the finding is of the right one, the right one is run alone."""
    wanted = plain_signature(record.signature)
    found = runner(program).divergences
    if any(plain_signature(one.signature) == wanted for one in found):
        return True
    if not found or {one.sides for one in found} != {runner.left} or runner.left == runner.right:
        return False
    digest = identity(runner.right)
    alone = _runner(runner.right, runner.right, record.mode, (digest, digest))
    return any(plain_signature(one.signature) == wanted for one in alone(program).divergences)
