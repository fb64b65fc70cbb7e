# SPDX-License-Identifier: GPL-2.0-only
"""What the memory management of newer kernels does otherwise than that of 6.1, which models have.

An operation of the host gives its area a reason.  The first difference that has the reason's shape
is excused by it; from there on SPTEs and RET_PF_* of that area and statistics of the VM are not
compared; data, dirty logs and results are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from difffuzz.facts.errno import EFAULT, EINVAL
from difffuzz.machine.host import HostMM
from difffuzz.machine.uffd import PROTECT, UNPROTECT
from difffuzz.machine.vma import UFFD_FLAGS
from difffuzz.program import Kind, Op
from difffuzz.program.limits import area_base
from difffuzz.program.ops import IS_HOST

ANONYMOUS: Final = ("4k", "thp")
SHARED: Final = ("shared",)
_Leaf = tuple[int, bool, bool]
"""Level, writable, executable."""


class Shape(NamedTuple):
    """What may differ, and how: of RET_PF_*, of SPTEs, of what the operation itself returned;
    statistics may, unless only what was returned does."""

    answers: Callable[[list[str], list[str]], bool]
    leaf: Callable[[_Leaf, _Leaf], bool]
    returned: Callable[[int, int], bool] = lambda said, shown: False
    zeros: bool = False
    """A dirty log may lack pages that the guest never wrote, and the host may find them shared."""


class NewerHost(NamedTuple):
    """A rule."""

    since: tuple[int, int]
    kinds: tuple[Kind, ...]
    why: str
    shape: Shape
    after: tuple[Kind, ...] = ()
    """One of these came before, on the same area; empty: it needs nothing before."""
    areas: tuple[str, ...] = ANONYMOUS


def _never(said: list[str], shown: list[str]) -> bool:
    del said, shown
    return False


def _no_leaf(said: _Leaf, shown: _Leaf) -> bool:
    del said, shown
    return False


_COLLAPSED: Final = Shape(
    lambda said, shown: not said and shown == ["FIXED"],
    lambda said, shown: (said[0], shown[0]) == (1, 2),
    lambda said, shown: said == -EINVAL and not shown,
)
"""Where the older one has no huge page."""
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
            zeros=True,
        ),
    ),
    "mprotect-writable": NewerHost(
        (6, 2),
        (Kind.MPROTECT, Kind.UFFD),
        "from 6.2 on mprotect() makes a THP writable at once (can_change_pmd_writable()), and "
        "userfaultfd what it no longer protects (uffd_wp_range()), which 6.1 leaves to the next "
        "write",
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
    "free-splits-more": NewerHost(
        (6, 12),
        (Kind.LAZY_FREE,),
        "MADV_FREE of 6.1 leaves a huge page alone whose first page is not mapped any more "
        "(folio_estimated_sharers()), that of 6.12 splits it (folio_likely_mapped_shared())",
        Shape(
            lambda said, shown: [said, shown] in ([[], ["FIXED"]], [["FIXED"], []]),
            lambda said, shown: False,
        ),
        (Kind.DONTNEED, Kind.MUNMAP, Kind.MMAP, Kind.MREMAP, Kind.COW_WRITE, Kind.FORK),
    ),
    "collapse-readonly": NewerHost(
        (7, 2),
        (Kind.THP_COLLAPSE, Kind.COLLAPSE),
        "7.2 collapses a range of which no page is writable, too (SCAN_PAGE_RO of 6.12's "
        "hpage_collapse_scan_pmd() is gone)",
        _COLLAPSED,
        (Kind.FORK, Kind.MPROTECT),
    ),
    "collapse-installs": NewerHost(
        (6, 12),
        (Kind.COLLAPSE,),
        "MADV_COLLAPSE of shared memory maps the huge page where no page table is, too, in 6.12 "
        "(collapse_file() ends as SCAN_PTE_MAPPED_HUGEPAGE); 6.1 says EINVAL, and looks no "
        "further",
        _COLLAPSED,
        areas=SHARED,
    ),
    "collapse-of-nothing": NewerHost(
        (7, 2),
        (Kind.COLLAPSE,),
        "7.2 is content with a range that has no whole 2M (madvise_collapse())",
        Shape(_never, _no_leaf, lambda said, shown: said == -EINVAL and not shown),
        areas=(*ANONYMOUS, *SHARED),
    ),
}
MOVES_EACH: Final = (6, 17)
"""Kernels from here on move all VMAs of a range by one mremap() (remap_move())."""
PROTECTS_EACH: Final = (6, 12)
"""Kernels from here on protect all VMAs of a range by one ioctl (mwriteprotect_range())."""
_WHOLE: Final = 512
"""Pages of 2M."""


def _has_whole(page: int, n: int) -> bool:
    """Is there a whole 2M in the range?"""
    return -(-page // _WHOLE) < (page + n) // _WHOLE


class Excuses:
    """Of one program on one kernel."""

    def __init__(self, kernel: tuple[int, int], areas: tuple[str, ...]) -> None:
        self._kernel = kernel
        self._areas = areas
        self._reasons: dict[int, set[str]] = {}
        self._before: dict[int, set[Kind]] = {}
        self._written: set[int] = set()
        self.relaxed: set[int] = set()
        """Areas that are not compared exactly any more."""

    def note(self, op: Op) -> None:
        """The operation was done."""
        for name, rule in RULES.items():
            if op.kind not in rule.kinds or self._kernel < rule.since:
                continue
            if op.kind == Kind.DONTNEED and op.args[2] < _WHOLE:
                continue
            if rule.shape.leaf is _no_leaf and _has_whole(op.args[1], op.args[2]):
                continue
            before = self._before.get(op.args[0], set())
            if rule.after and not before.intersection(rule.after):
                continue
            if self._areas[op.args[0]] in rule.areas:
                self._reasons.setdefault(op.args[0], set()).add(name)
        if op.kind == Kind.WRITE or (op.kind == Kind.BEGIN_FAULT and op.args[1] == Kind.WRITE):
            self._written.add(op.args[0])
        if IS_HOST[op.kind]:
            self._before.setdefault(op.args[0], set()).add(op.kind)

    def answers(self, area: int, said: list[str], shown: list[str]) -> str:
        """The rule that excuses the difference, or an empty name."""
        return self._found(area, lambda rule: rule.shape.answers(said, shown))

    def leaf(self, area: int, said: _Leaf, shown: _Leaf) -> str:
        """As `answers`, of an SPTE."""
        return self._found(area, lambda rule: rule.shape.leaf(said, shown))

    def returned(self, area: int, said: int, shown: int) -> str:
        """As `answers`, of what an operation of the host returned."""
        return self._found(area, lambda rule: rule.shape.returned(said, shown))

    def undirtied(self, area: int, gfn: int) -> str:
        """As `answers`, of a page that a dirty log lacks."""
        if gfn in self._written:
            return ""
        return self._found(area, lambda rule: rule.shape.zeros)

    def shared(self, area: int) -> str:
        """As `answers`, of a page that a write of the host found shared."""
        return self._found(area, lambda rule: rule.shape.zeros)

    def statistics(self) -> str:
        """As `answers`, of how many leaves there are."""
        for area in self._reasons:
            name = self._found(area, lambda rule: rule.shape.leaf is not _no_leaf)
            if name:
                return name
        return ""

    def _found(self, area: int, fits: Callable[[NewerHost], bool]) -> str:
        for name in sorted(self._reasons.get(area, ())):
            if fits(RULES[name]):
                self.relaxed.add(area)
                return name
        return ""


def each_vma(mm: HostMM, op: Op, kernel: tuple[int, int]) -> tuple[list[Op], int]:
    """The operation, and 0; if a newer kernel does it to several VMAs, one for each of them.

    Instead of 0: the errno with which the kernel ends after those.  An mremap stops at a VMA that
    a userfaultfd watches, and looks first whether the range overlaps its new place.
    """
    if op.kind == Kind.MREMAP and kernel >= MOVES_EACH:
        area, page, n, to, _ = op.args
        if abs(to - page) < n:
            return [], -EINVAL
        if mm.vmas.find(area_base(area) + (page << 12)) is None:
            return [], -EFAULT
    elif op.kind != Kind.UFFD or op.args[3] not in (PROTECT, UNPROTECT) or kernel < PROTECTS_EACH:
        return [op], 0
    area, page, n, *rest = op.args
    start = area_base(area) + (page << 12)
    end = start + (n << 12)
    parts: list[Op] = []
    for vma in mm.vmas.overlapping(start, end):
        watched = op.kind == Kind.MREMAP and vma.flags & UFFD_FLAGS
        if watched and (parts or vma.end < end):
            return parts, -EFAULT
        first = max(vma.start - start >> 12, 0)
        last = min(vma.end - start >> 12, n)
        more = [rest[0] + first, *rest[1:]] if op.kind == Kind.MREMAP else rest
        parts.append(op._replace(args=(area, page + first, last - first, *more)))
    return parts or [op], 0
