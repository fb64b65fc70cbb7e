# SPDX-License-Identifier: GPL-2.0-only
"""What the memory management of newer kernels does otherwise than that of 6.1, which models have.

An operation of the host gives its area a reason.  The first difference that has the reason's shape
is excused by it; from there on SPTEs and RET_PF_* of that area and statistics of the VM are not
compared; data, dirty logs and results are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from difffuzz.program import Kind, Op

ANONYMOUS: Final = ("4k", "thp")
_Leaf = tuple[int, bool, bool]
"""Level, writable, executable."""


class Shape(NamedTuple):
    """What may differ, and how: of RET_PF_* and of SPTEs; statistics may always."""

    answers: Callable[[list[str], list[str]], bool]
    leaf: Callable[[_Leaf, _Leaf], bool]


class NewerHost(NamedTuple):
    """A rule."""

    since: tuple[int, int]
    kinds: tuple[Kind, ...]
    why: str
    shape: Shape


def _never(said: list[str], shown: list[str]) -> bool:
    del said, shown
    return False


RULES: Final[dict[str, NewerHost]] = {
    "zero-subpages": NewerHost(
        (6, 12),
        (Kind.LAZY_FREE, Kind.COLD, Kind.HWPOISON),
        "from 6.12 on pages of zeros become the zero page when their THP is split "
        "(remap_page()): they are read-only, and a write takes a page of its own, which is an "
        "invalidation inside the fault",
        Shape(
            lambda said, shown: shown == ["RETRY", *said],
            lambda said, shown: shown[:2] == (1, False) and said[2] == shown[2],
        ),
    ),
    "mprotect-writable": NewerHost(
        (6, 2),
        (Kind.MPROTECT,),
        "from 6.2 on mprotect() makes a THP writable at once (can_change_pmd_writable()), which "
        "6.1 leaves to the next write",
        Shape(
            lambda said, shown: said == ["FIXED"] and not shown,
            lambda said, shown: shown == (said[0], True, said[2]),
        ),
    ),
    "page-tables-reclaimed": NewerHost(
        (6, 14),
        (Kind.DONTNEED,),
        "from 6.14 on MADV_DONTNEED of a whole 2M frees its page table (CONFIG_PT_RECLAIM), so "
        "that the next fault brings a THP",
        Shape(_never, lambda said, shown: shown[0] >= said[0] and shown[1]),
    ),
}
_WHOLE: Final = 512
"""Pages below which no page table goes."""


class Excuses:
    """Of one program on one kernel."""

    def __init__(self, kernel: tuple[int, int], areas: tuple[str, ...]) -> None:
        self._kernel = kernel
        self._areas = areas
        self._reasons: dict[int, set[str]] = {}
        self.relaxed: set[int] = set()
        """Areas that are not compared exactly any more."""

    def note(self, op: Op) -> None:
        """The operation was done."""
        for name, rule in RULES.items():
            if op.kind not in rule.kinds or self._kernel < rule.since:
                continue
            if op.kind == Kind.DONTNEED and op.args[2] < _WHOLE:
                continue
            if self._areas[op.args[0]] in ANONYMOUS:
                self._reasons.setdefault(op.args[0], set()).add(name)

    def answers(self, area: int, said: list[str], shown: list[str]) -> str:
        """The rule that excuses the difference, or an empty name."""
        return self._found(area, lambda rule: rule.shape.answers(said, shown))

    def leaf(self, area: int, said: _Leaf, shown: _Leaf) -> str:
        """As `answers`, of an SPTE."""
        return self._found(area, lambda rule: rule.shape.leaf(said, shown))

    def statistics(self) -> str:
        """As `answers`, of how many leaves there are."""
        for area in self._reasons:
            name = self._found(area, lambda _: True)
            if name:
                return name
        return ""

    def _found(self, area: int, fits: Callable[[NewerHost], bool]) -> str:
        for name in sorted(self._reasons.get(area, ())):
            if fits(RULES[name]):
                self.relaxed.add(area)
                return name
        return ""
