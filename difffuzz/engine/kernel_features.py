# SPDX-License-Identifier: GPL-2.0-only
"""What is new in a booted kernel's run, and which programs are worth changing for it.

A feature is something that one operation showed: how it ended with which RET_PF_*, which SPTEs it
set or zapped, which statistics it moved; alone, and after the operation before it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from random import Random
from typing import Final, NamedTuple

from difffuzz.booted.observed import Change, Run, Seen, Set
from difffuzz.facts.paging import PT_WRITABLE_MASK
from difffuzz.program import Op, Program, generate
from difffuzz.program.mutate import crossover, mutate

MOST: Final = 4
"""SPTEs and answers of one operation that are looked at."""
MOST_KEPT: Final = 2000
"""Programs that are kept."""
_FRESH: Final = 0.25
"""Of the programs, how many are generated anew."""
_CROSSED: Final = 0.1
_RECENT: Final = 20
_PRESENT: Final = 1


class Feature(NamedTuple):
    """Any of them."""

    mmu: str
    what: str
    value: Hashable


def features(program: Program, run: Run, mmu: str) -> set[Feature]:
    """Everything that the run showed."""
    found: set[Feature] = set()
    before: Hashable = "begin"
    stats: dict[str, int] = {}
    for op, seen in zip(program.ops, run.seen, strict=True):
        if seen.note or seen.result == "skipped":
            continue
        ended = _ended(op, seen)
        found.add(Feature(mmu, "ended", ended))
        found.add(Feature(mmu, "after", (before, ended)))
        for leaf in _sets(seen.sets):
            found.add(Feature(mmu, "set", (op.kind, leaf)))
        for change in _changes(seen.changes):
            found.add(Feature(mmu, "changed", (op.kind, change)))
        for name, value in seen.stats.items():
            moved = value - stats.get(name, 0)
            if moved:
                grown = (moved > 0, abs(moved).bit_length())
                found.add(Feature(mmu, "statistics", (op.kind, name, grown)))
        stats = seen.stats
        before = op.kind
    return found


def _ended(op: Op, seen: Seen) -> Hashable:
    answers = tuple(fault.answer for fault in seen.faults[:MOST])
    return op.kind, seen.result, seen.ret, seen.parked, bool(seen.bitmap), answers


def _sets(sets: list[Set]) -> Iterator[Hashable]:
    for one in sets[:MOST]:
        yield one.level, bool(one.spte & PT_WRITABLE_MASK), one.spte >> 63, one.spte & _PRESENT


def _changes(changes: list[Change]) -> Iterator[Hashable]:
    bits = _PRESENT | PT_WRITABLE_MASK
    for one in changes[:MOST]:
        same = one.old >> 12 == one.new >> 12
        yield one.level, one.old & bits, one.new & bits, same


class Pool:
    """Programs that showed something new, and those made of them."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._seen: set[Feature] = set()
        self._kept: list[Program] = []

    @property
    def kept(self) -> int:
        """Programs that are changed further."""
        return len(self._kept)

    @property
    def seen(self) -> int:
        """Features so far."""
        return len(self._seen)

    def tell(self, program: Program, found: set[Feature]) -> bool:
        """The program's runs showed that; True if it is new, and the program kept."""
        if found <= self._seen:
            return False
        self._seen |= found
        if len(self._kept) == MOST_KEPT:
            del self._kept[self._rng.randrange(MOST_KEPT)]
        self._kept.append(program)
        return True

    def next(self) -> Program:
        """The next program to run."""
        rng = self._rng
        if not self._kept or rng.random() < _FRESH:
            return generate(rng, near=True)
        # What came last is looked at more.
        recent = self._kept[-_RECENT:] if rng.random() < 0.5 else self._kept
        one, other = rng.choice(recent), rng.choice(self._kept)
        if rng.random() < _CROSSED:
            one = crossover(one, other, rng)
        return mutate(one, rng, other)
