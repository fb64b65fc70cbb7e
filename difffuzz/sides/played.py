# SPDX-License-Identifier: GPL-2.0-only
"""A program played from begin to end inside the library, with harness/native/machine as its host.

The same calls of KVM happen as when Python is the host; nothing comes back to Python before the
end.  What it did can be read from a Played; what seems wrong on the way ends it, with the reason.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeVar

from difffuzz.native.abi.describe import LONG_BYTES, CStruct, place, words
from difffuzz.native.abi.played import (
    PlayedChoice,
    PlayedEnd,
    PlayedLeaf,
    PlayedOutcome,
    PlayedRun,
    Result,
)
from difffuzz.native.abi.programs import Switch, WalksAsked
from difffuzz.native.library import Library
from difffuzz.program import Kind
from difffuzz.sched.task import HARNESS
from difffuzz.sides.base import Outcome
from difffuzz.sides.encoded import Encoded

RESULTS: Final = tuple(result.name.lower() for result in Result)
"""Outcome.result, by number."""
OUTCOME_WORDS: Final = ctypes.sizeof(PlayedOutcome) // LONG_BYTES
CHOICE_WORDS: Final = words(PlayedChoice, "step", "chosen", "able")
END_WORDS: Final = ctypes.sizeof(PlayedEnd) // LONG_BYTES
NR_RETS: Final = place(PlayedOutcome, "nr_rets")
S = TypeVar("S", bound=CStruct)


class Stuck(Exception):
    """The player went round in circles, without a preemption point, until the watchdog's time was
    over.  Where a program does so under Python as the host as well, it is the kernel's fault."""

    def __init__(self, text: str, schedule: tuple[tuple[int, int], ...]) -> None:
        super().__init__(text)
        self.schedule = schedule
        """As far as it came, if the threads ran at once."""


class PlayedOp(NamedTuple):
    """What one operation did, and what the comparison of two sides has to know of that moment."""

    op_index: int
    """Its place in the program.  The end of a parked fault has the place of what waits for it."""
    kind: Kind
    thread: int
    outcome: Outcome
    bitmap_digest: int
    nx: bool
    may_be_absent: bool
    """The page is tracked, and this side loses mappings by itself."""
    flushes: int
    step: int
    """At which it was over, if threads ran at once."""


class Played:
    """A run.  Read it before the library plays the next one."""

    __slots__ = ("_run", "reason")

    def __init__(self, run: PlayedRun, reason: str) -> None:
        self._run = run
        self.reason = reason
        """Why it was left early; empty if it was not."""

    @property
    def steps(self) -> int:
        """Preemption points passed."""
        return self._run.steps

    def compared(self) -> bytes:
        """What both sides must agree on, of all operations."""
        return ctypes.string_at(self._run.compared, LONG_BYTES * self._run.nr_compared)

    def features(self) -> array[int]:
        """The state features reached."""
        return _longs(self._run.features, self._run.nr_features)

    def operations(self) -> list[PlayedOp]:
        """What each operation did."""
        outcomes, rets = self.outcomes(), self.rets()
        found = []
        first = 0
        for at in range(0, len(outcomes), OUTCOME_WORDS):
            end = first + outcomes[at + NR_RETS]
            found.append(_operation(outcomes, at, rets[first:end]))
            first = end
        return found

    def outcomes(self) -> array[int]:
        """The same as the library tells it: PlayedOutcomes, as longs."""
        return _longs(self._run.outcomes, OUTCOME_WORDS * self._run.nr_outcomes)

    def rets(self) -> array[int]:
        """The RET_PF_* of all outcomes."""
        return _longs(self._run.rets, self._run.nr_rets)

    def guest_rules(self) -> dict[str, int]:
        """What rules excused, of a guest with page tables."""
        found = {
            "efer-nx": self._run.efer_nx,
            "fault-keeps-stale": self._run.fault_keeps_stale,
            "npt-fetch": self._run.npt_fetch,
        }
        return {name: count for name, count in found.items() if count}

    @property
    def foreign_at_start(self) -> bool:
        """The guest's tables could be changed behind its back from the beginning."""
        return bool(self._run.foreign_at_start)

    def leaves(self) -> list[PlayedLeaf]:
        """The leaves at the end, if they were asked for."""
        return _row(PlayedLeaf, self._run.leaves, self._run.nr_leaves)

    def switches(self) -> tuple[tuple[int, int], ...]:
        """Of a run whose threads ran at once: the schedule that it amounts to."""
        row = _row(Switch, self._run.switches, self._run.nr_switches)
        return tuple((one.step, one.number) for one in row)

    def choices(self) -> list[tuple[int, int]]:
        """What could have come instead, at each step from Threads.survey on: (step, thread)."""
        told = _longs(self._run.choices, CHOICE_WORDS * self._run.nr_choices)
        return [
            (step, thread)
            for step, chosen, able in zip(told[0::3], told[1::3], told[2::3], strict=True)
            for thread in _bits(able & ~(1 << chosen))
        ]


def _bits(word: int) -> Iterator[int]:
    while word:
        yield (word & -word).bit_length() - 1
        word &= word - 1


def _longs(at: int, length: int) -> array[int]:
    return array("l", ctypes.string_at(at, LONG_BYTES * length) if length else b"")


def _row(cls: type[S], at: int, length: int) -> list[S]:
    """Structures in a row, copied."""
    if not length:
        return []
    data = ctypes.string_at(at, ctypes.sizeof(cls) * length)
    return list((cls * length).from_buffer_copy(data))


def _operation(outcomes: array[int], at: int, rets: array[int]) -> PlayedOp:
    """The outcome that begins there."""
    one = PlayedOutcome.from_buffer(outcomes, at * LONG_BYTES)
    outcome = Outcome(RESULTS[one.result], one.value)
    outcome.pfn = one.pfn
    outcome.fast = one.fast
    outcome.parked = bool(one.parked)
    outcome.parked_ret = one.parked_ret
    outcome.parked_rets = one.parked_rets
    outcome.access = one.access
    outcome.fault_gfn = one.fault_gfn
    outcome.rets = tuple(rets)
    return PlayedOp(
        op_index=one.op_index,
        kind=Kind(one.kind),
        thread=one.thread,
        outcome=outcome,
        bitmap_digest=one.bitmap_digest,
        nx=bool(one.nx),
        may_be_absent=bool(one.may_be_absent),
        flushes=one.flushes,
        step=one.step,
    )


def differences(left: Played, right: Played) -> tuple[list[tuple[PlayedOp, PlayedOp]], bool]:
    """The operations that ended otherwise on one side than on the other.

    And whether both sides had the same operations all along; if not, those before.
    """
    ours, theirs = left.outcomes(), right.outcomes()
    our_rets, their_rets = left.rets(), right.rets()
    found: list[tuple[PlayedOp, PlayedOp]] = []
    i = j = 0
    for at in range(0, min(len(ours), len(theirs)), OUTCOME_WORDS):
        our_end, their_end = i + ours[at + NR_RETS], j + theirs[at + NR_RETS]
        if (
            ours[at : at + END_WORDS] != theirs[at : at + END_WORDS]
            or our_rets[i:our_end] != their_rets[j:their_end]
        ):
            mine = _operation(ours, at, our_rets[i:our_end])
            other = _operation(theirs, at, their_rets[j:their_end])
            if (mine.op_index, mine.kind, mine.thread) != (
                other.op_index,
                other.kind,
                other.thread,
            ):
                return found, False
            found.append((mine, other))
        i, j = our_end, their_end
    return found, len(ours) == len(theirs)


class Player:
    """Plays programs on one side of a library."""

    def __init__(self, library: Library, tdp_mmu: bool, side: int) -> None:
        self._library = library
        self._tdp_mmu = tdp_mmu
        self._side = side
        self._play = library.export("play")
        self._played = library.export("played")
        self._walks = library.export("walks")
        self._run = PlayedRun()
        self._at = ctypes.addressof(self._run)

    def play(self, encoded: Encoded, steps: int, trace: bool = False) -> Played:
        """Runs it; `steps` bounds the preemption points it may pass.  Stuck."""
        self._library.calls += 1
        return self._told(self._play(self.at(encoded, steps, trace)))

    def at(self, encoded: Encoded, steps: int, trace: bool = False) -> int:
        """Where the program is, as this side plays it, until the next call."""
        return encoded.at(self._tdp_mmu, self._side, steps, trace)

    def walk(self, asked: WalksAsked) -> Played | None:
        """Plays walks until one is suspicious, which is told.  Stuck."""
        self._library.calls += 1
        return self._told(True) if self._walks(ctypes.addressof(asked)) else None

    def _told(self, left_early: int) -> Played:
        """What was played last."""
        self._played(self._at)
        if not left_early:
            return Played(self._run, "")
        library = self._library
        death = library.death()
        played = Played(self._run, f"{death.oracle}: {death.where} {death.text}".strip())
        if death.oracle == HARNESS:
            raise Stuck(death.text, played.switches())
        return played
