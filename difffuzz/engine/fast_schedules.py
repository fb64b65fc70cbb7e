# SPDX-License-Identifier: GPL-2.0-only
"""More schedules for a program whose threads run at once, on native sides, without Python between.

The engine that judges (concurrent.py) runs a program under one schedule; here each side plays it
under many random walks and samples.  What is looked at is less: where all threads meet, and each
frame that the guest uses.  A walk that shows something is a schedule for the engine, step by step
the same.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from difffuzz.program import Program
from difffuzz.sides import NativeFactory, SideFactory
from difffuzz.sides.encoded import Encoded, Threads
from difffuzz.sides.played import Player

GAPS = (20, 0, 5, 60)
"""Steps between two preemptions, about, one walk after the other; 0: partial order sampling."""
NOT_SEEN_THROUGH = "fast: "
"""A walk that ends so was too long, or met a limit of the player's."""


class Suspicion(NamedTuple):
    """A schedule that the engine should judge."""

    reason: str
    schedule: tuple[tuple[int, int], ...]


class FastSchedules:
    """Native sides; `runs` counts the walks, `reasons` what was suspicious.

    `delays`: half of the walks delay stores, as x86 may.
    """

    def __init__(self, factories: list[NativeFactory], delays: bool = False) -> None:
        self._delays = delays
        self.runs = 0
        self.reasons: Counter[str] = Counter()
        self._players = [
            Player(side.library, side.tdp_mmu, number) for number, side in enumerate(factories)
        ]

    def walks(
        self, program: Program, count: int, max_steps: int, features: set[int]
    ) -> Iterator[Suspicion]:
        """Plays `count` walks on each side, which the program determines; the suspicious ones.

        `features` grows by the states that all of them reached.
        """
        seed = zlib.crc32(repr(program.ops).encode())
        for number in range(count):
            gap, delays = GAPS[number % len(GAPS)], number // len(GAPS) % 2 == 1
            threads = Threads(seed=seed + number + 1, gap=gap, delays=self._delays and delays)
            encoded = Encoded(program, threads)
            for player in self._players:
                played = player.play(encoded, max_steps)
                self.runs += 1
                features.update(played.features())
                if not played.reason or played.reason.startswith(NOT_SEEN_THROUGH):
                    continue
                self.reasons[played.reason] += 1
                yield Suspicion(played.reason, played.switches())


def fast_schedules(
    left: SideFactory, right: SideFactory, delays: bool = False
) -> FastSchedules | None:
    """For those of the sides that are the kernel's own code; None if neither is."""
    native = [side for side in (left, right) if isinstance(side, NativeFactory)]
    return FastSchedules(native, delays) if native else None
