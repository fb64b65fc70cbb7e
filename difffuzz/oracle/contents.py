# SPDX-License-Identifier: GPL-2.0-only
"""The contents oracle: what the guest wrote last is there, until the host takes it by right.

Ground truth is the guest's writes, by the page of the host that the guest means, whatever frame is
behind it.  What the host did not take: reclaim may drop a page that is clean, and whether it is
depends on what KVM tells of the dirty bits of its SPTEs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from difffuzz.facts.paging import PAGE_SIZE
from difffuzz.machine.host import HostMM
from difffuzz.machine.vma import HUGETLB_LEVEL
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config, Kind, Op
from difffuzz.program.fields import UFFD
from difffuzz.program.limits import area_base

CONTENTS = """What the guest wrote last to a page is there: no later read sees anything else, and no
reclaim loses it, until the host writes to the page, takes it, or frees it."""

TAKES = frozenset(
    {
        Kind.MUNMAP,
        Kind.MMAP,
        Kind.DONTNEED,
        Kind.LAZY_FREE,
        Kind.HWPOISON,
        Kind.HOST_WRITE,
        Kind.COW_WRITE,
        Kind.PUNCH_HOLE,
        Kind.MREMAP,
        Kind.UFFD,
    }
)
"""Operations after which a page may hold anything."""
FILLS = (UFFD.words.index("copy"), UFFD.words.index("zero"))
"""Of those of a userfaultfd: a page that was dropped by right may be another now."""


class Contents:
    """What the pages of one side must hold, by hva >> 12; of the others nothing is known."""

    __slots__ = ("_known", "_name", "_rounding")

    def __init__(self, name: str, config: Config) -> None:
        self._name = name
        self._known: dict[int, int] = {}
        self._rounding = [512 ** (HUGETLB_LEVEL.get(kind, 1) - 1) for kind in config.areas]

    def wrote(self, hva: int, value: int) -> None:
        """The guest wrote to the page."""
        self._known[hva >> 12] = value

    def unknown(self, hva: int) -> None:
        """Somebody else may have."""
        self._known.pop(hva >> 12, None)

    def host(self, op: Op) -> None:
        """The host does something to a range of an area."""
        if op.kind not in TAKES or not self._known:
            return
        if op.kind == Kind.UFFD and op.args[3] not in FILLS:
            return
        area, page, *rest = op.args
        size = self._rounding[area]
        count = rest[0] if rest else 1
        base = area_base(area) >> 12
        first = base + (page & -size)
        last = base + (page + count + size - 1 & -size)
        self._forget(first, last)
        if op.kind == Kind.MREMAP:
            to = base + (rest[1] & -size)
            self._forget(to, to + last - first)

    def _forget(self, first: int, last: int) -> None:
        if last - first < len(self._known):
            gone: Iterable[int] = range(first, last)
        else:
            gone = [one for one in self._known if first <= one < last]
        for page in gone:
            self._known.pop(page, None)

    def read(self, hva: int, value: int) -> Iterator[Violation]:
        """The guest read the page."""
        expected = self._known.get(hva >> 12, value)
        if value != expected:
            yield self._lost(hva & -PAGE_SIZE, expected, value)

    def settled(self, mm: HostMM) -> Iterator[Violation]:
        """With nothing going on: what would a read of each known page return?"""
        for page, expected in self._known.items():
            value = mm.content(page << 12)
            if value is not None and value != expected:
                yield self._lost(page << 12, expected, value)
                return

    def _lost(self, hva: int, expected: int, value: int) -> Violation:
        text = f"hva {hva:#x}: operation {expected - 1} wrote {expected}, {value} is there"
        return Violation("contents", self._name, "lost", text)
