# SPDX-License-Identifier: GPL-2.0-only
"""More schedules for a program whose threads run at once, on native sides, without Python between.

The engine that judges (concurrent.py) runs a program under one schedule; here each side plays it
under many random walks and samples.  What is looked at is less: where all threads meet, and each
frame that the guest uses.  A walk that shows something is a schedule for the engine, step by step
the same.
"""

from __future__ import annotations

import ctypes
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from difffuzz.native.abi.limits import GAPS
from difffuzz.native.abi.programs import WalksAsked
from difffuzz.program import Program
from difffuzz.program.limits import FEATURES
from difffuzz.sides import NativeFactory, SideFactory
from difffuzz.sides.encoded import Encoded, Threads
from difffuzz.sides.played import Played, Player

NOT_SEEN_THROUGH = "fast: "
"""A walk that ends so was too long, or met a limit of the player's."""
NO_LIMIT = 1 << 40


class Suspicion(NamedTuple):
    """A schedule that the engine should judge."""

    reason: str
    schedule: tuple[tuple[int, int], ...]


class Walker:
    """Plays walks on one side, all that one program has in one call of the library."""

    def __init__(self, side: NativeFactory, number: int, delays: bool) -> None:
        self._player = Player(side.library, side.tdp_mmu, number)
        self._reached = (ctypes.c_ubyte * FEATURES)()
        self._features = (ctypes.c_long * FEATURES)()
        self._asked = asked = WalksAsked()
        asked.gaps[:] = list(GAPS)
        asked.delays = delays
        asked.reached = ctypes.addressof(self._reached)
        asked.features = ctypes.addressof(self._features)

    def walks(self, program: Program, count: int, max_steps: int, enough: int) -> Iterator[Played]:
        """The suspicious ones.  Stuck."""
        asked = self._asked
        encoded = Encoded(program, Threads(program.schedule))
        asked.scheduled = bool(program.schedule)
        asked.seed = 1 + zlib.crc32(repr(program.ops).encode())
        asked.next, asked.count, asked.steps, asked.most_steps = 0, count, 0, enough
        while asked.next < count and asked.steps < enough:
            asked.program = self._player.at(encoded, max_steps)
            if (played := self._player.walk(asked)) is not None:
                asked.next += 1
                yield played

    def features(self) -> list[int]:
        """What the walks of the last program reached so far."""
        return self._features[: self._asked.nr_features]

    @property
    def played(self) -> int:
        """How many of them were played so far."""
        return self._asked.next

    @property
    def steps(self) -> int:
        """Preemption points that these passed."""
        return self._asked.steps


class FastSchedules:
    """Native sides; `runs` counts the walks, `steps` their preemption points, `reasons` what was
    suspicious.

    `delays`: half of the walks delay stores, as x86 may.
    """

    def __init__(self, factories: list[NativeFactory], delays: bool = False) -> None:
        self.runs = self.steps = 0
        self.reasons: Counter[str] = Counter()
        self._walkers = [Walker(side, number, delays) for number, side in enumerate(factories)]
        self._known: set[int] = set()

    @property
    def see_both(self) -> bool:
        """Both sides are walked."""
        return len(self._walkers) == 2

    def are_new(self, features: set[int]) -> bool:
        """Does no program that this was asked of have some of these?"""
        before = len(self._known)
        self._known |= features
        return len(self._known) > before

    def walks(
        self,
        program: Program,
        count: int,
        max_steps: int,
        features: set[int],
        enough: int = NO_LIMIT,
    ) -> Iterator[Suspicion]:
        """Plays `count` on each side, which the program determines; the suspicious ones.

        A program's own schedule is the first.  None begins on a side after `enough` preemption
        points there.  `features` grows by the states that all of them reached.
        """
        for walker in self._walkers:
            try:
                for played in walker.walks(program, count, max_steps, enough):
                    self.reasons[played.reason] += 1
                    yield Suspicion(played.reason, played.switches())
            finally:  # whoever asked has seen enough
                self.runs += walker.played
                self.steps += walker.steps
                features.update(walker.features())


def fast_schedules(
    left: SideFactory, right: SideFactory, delays: bool = False
) -> FastSchedules | None:
    """For those of the sides that are the kernel's own code; None if neither is."""
    native = [side for side in (left, right) if isinstance(side, NativeFactory)]
    return FastSchedules(native, delays) if native else None
