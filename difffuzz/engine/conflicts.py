# SPDX-License-Identifier: GPL-2.0-only
"""Where the threads of a phase met: what two did to one SPTE, or how their operations ended.

A pair that few programs had before is worth a search of the schedules: the other order, or one in
the middle of the other, may be a bug.  What the host does counts as one kind, since KVM sees the
same notifier behind it.
"""

from __future__ import annotations

from itertools import combinations

from difffuzz.engine.features import RESULTS, spte_class
from difffuzz.program import Kind
from difffuzz.program.limits import FEATURES
from difffuzz.program.ops import IS_HOST
from difffuzz.sides.base import Outcome

ABSENT, FROZEN, MARKED, TABLE, READ_ONLY, WRITABLE = range(6)
_CLASSES = (ABSENT, FROZEN, MARKED, TABLE, *(READ_ONLY, READ_ONLY, WRITABLE, WRITABLE) * 3)
"""By features.spte_class(): accessed and dirty bits do not matter here."""
_ENDS = 1 << 20
"""Above all changes."""


def _actor(kind: Kind) -> int:
    return Kind.MUNMAP if IS_HOST[kind] else kind


def changed(kind: Kind, level: int, old: int, new: int) -> int:
    """A change as it counts: by what kind of operation, on which level, from what to what."""
    word = (_actor(kind) * 8 + level) * 8 + _CLASSES[spte_class(old, level)]
    return word * 8 + _CLASSES[spte_class(new, level)]


def ended(kind: Kind, outcome: Outcome) -> int:
    """An operation's end as it counts."""
    return _ENDS + _actor(kind) * 8 + RESULTS[outcome.result]


def feature(pair: tuple[int, int]) -> int:
    """Feature of a pair."""
    return ((pair[0] * 65599 + pair[1]) * 2654435761 >> 8) % FEATURES


class Conflicts:
    """What happened in one phase on one side."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: dict[int, set[tuple[int, int]]] = {}

    def note(self, place: int, thread: int, what: int) -> None:
        """The thread did this to the SPTE at `place`; 0: an operation of it ended like this."""
        self._at.setdefault(place, set()).add((what, thread))

    def take(self) -> set[tuple[int, int]]:
        """The pairs of what two threads did at one place; forgets all."""
        pairs = {
            (one, other)
            for here in self._at.values()
            for (one, thread), (other, by) in combinations(sorted(here), 2)
            if thread != by
        }
        self._at.clear()
        return pairs
