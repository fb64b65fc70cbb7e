# SPDX-License-Identifier: GPL-2.0-only
"""Where the threads of a phase met: SPTEs that several of them changed, and what each made of them.

A pair of changes that no program had before is worth a search of the schedules: the other order, or
one in the middle of the other, may be a bug.  What the host does counts as one kind, since KVM sees
the same notifier behind it.
"""

from __future__ import annotations

from difffuzz.engine.features import FEATURES, spte_class
from difffuzz.program import Kind

ABSENT, FROZEN, MARKED, TABLE, READ_ONLY, WRITABLE = range(6)
_CLASSES = (ABSENT, FROZEN, MARKED, TABLE, *(READ_ONLY, READ_ONLY, WRITABLE, WRITABLE) * 3)


def changed(kind: Kind, level: int, old: int, new: int) -> int:
    """A change as it counts: by what kind of operation, on which level, from what to what."""
    actor = Kind.MUNMAP if Kind.MUNMAP <= kind <= Kind.TEST_AGE else kind
    return ((actor * 8 + level) * 8 + _CLASSES[spte_class(old)]) * 8 + _CLASSES[spte_class(new)]


def feature(pair: tuple[int, int]) -> int:
    """Feature of a pair of changes."""
    return ((pair[0] * 65599 + pair[1]) * 2654435761 >> 8) % FEATURES


class Meetings:
    """The changes of one phase on one side."""

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes: dict[int, dict[int, int]] = {}

    def note(self, ptr: int, thread: int, change: int) -> None:
        """The thread changed the SPTE at `ptr`."""
        self._changes.setdefault(ptr, {})[change] = thread

    def take(self) -> set[tuple[int, int]]:
        """The pairs of changes of one SPTE by two threads; forgets all."""
        pairs: set[tuple[int, int]] = set()
        for changes in self._changes.values():
            if len(changes) > 1:
                ordered = sorted(changes.items())
                for at, (one, thread) in enumerate(ordered):
                    pairs.update((one, other) for other, by in ordered[at:] if by != thread)
        self._changes.clear()
        return pairs
