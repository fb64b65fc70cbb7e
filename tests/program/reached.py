# SPDX-License-Identifier: GPL-2.0-only
"""What a program reaches on the model: not its words, but the state that page tables are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from difffuzz.facts.paging import PT_PAGE_SIZE_MASK
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK, SPTE_MMU_PRESENT_MASK
from difffuzz.program import Kind, Program
from difffuzz.sides import KvmFactory
from difffuzz.sides.kvm_side import KvmSide

ABOUT_PAGES = {
    Kind.TRACK_ADD: "track",
    Kind.DIRTY_GET: "protect",
    Kind.DIRTY_CLEAR: "protect",
    Kind.MEMSLOT_FLAGS: "protect",
    Kind.AGE: "age",
    Kind.ZAP_GFN_RANGE: "zap",
    Kind.DONTNEED: "zap",
    Kind.MUNMAP: "zap",
    Kind.MIGRATE: "zap",
    Kind.SWAP_OUT: "zap",
}
"""What is done to a page in every root."""


class Root(NamedTuple):
    """What kind of root: of SMM, of an L2, its levels."""

    smm: bool
    l2: bool
    level: int


class Mapped(NamedTuple):
    """A present leaf of one root, which begins with the table at `top`."""

    root: Root
    top: int
    gfn: int
    npages: int
    looks: tuple[int, int]
    """Its level, and its SPTE but for the page."""
    at: int
    """Physical address of the SPTE."""

    def shares(self, other: Mapped) -> bool:
        """They map a gfn in common."""
        return self.gfn < other.gfn + other.npages and other.gfn < self.gfn + self.npages

    def meets(self, other: Mapped) -> bool:
        """Another root maps a gfn of these, and its leaf looks otherwise."""
        return self.shares(other) and self.root != other.root and self.looks != other.looks

    def beside(self, other: Mapped) -> bool:
        """A root with more or fewer levels maps a gfn of these; the legacy MMU by the same SPTE."""
        return self.shares(other) and self.root.level != other.root.level


def reached(program: Program, factory: KvmFactory) -> Counter[str]:
    """The states that the program reaches there, one operation at a time, and how often."""
    side = factory.start(program.config)
    found = Counter[str]()
    unused: set[int] = set()
    for number, op in enumerate(program.ops, start=1):
        about = ABOUT_PAGES.get(op.kind)
        before = list(mapped(side)) if about is not None else []
        users = {top for top in roots_in_use(side) if any(leaves(side, top))}
        side.kvm.mem.log.clear()
        side.execute(op, number)
        touched = {at for at, old, new in side.kvm.mem.log if old != new}
        hit = [one for one in before if one.at in touched]
        if any(one.meets(other) for one in hit for other in before):
            found[f"{about} in several states"] += 1
        if any(one.beside(other) for one in hit for other in before):
            found[f"{about} at four and at five levels"] += 1
        if any(one.top in unused for one in hit):
            found[f"{about} without user"] += 1
        now = roots_in_use(side)
        lost = users - now
        found["lost its last user"] += bool(lost)
        unused = (unused | lost) - now
    side.destroy()
    return +found


def roots_in_use(side: KvmSide) -> set[int]:
    """Addresses of the tables that are the roots of vCPUs, those in their caches included."""
    infos = (info for vcpu in side.kvm.vcpus for info in (vcpu.mmu.root, *vcpu.mmu.prev_roots))
    return {info.hpa for info in infos if info.hpa >= 0}


def mapped(side: KvmSide) -> Iterator[Mapped]:
    """Every present leaf below a root, used or not."""
    pages = side.kvm.mem.pages
    below = {entry & SPTE_BASE_ADDR_MASK for page in pages.values() for entry in page.ent.values()}
    tops = {page.sp.spt for page in pages.values() if page.sp is not None}
    for top in sorted(tops - below | roots_in_use(side) & tops):
        yield from leaves(side, top)


def leaves(side: KvmSide, top: int) -> Iterator[Mapped]:
    """Those below the table at `top`."""
    pages = side.kvm.mem.pages
    root: Root | None = None
    tables = [top]
    while tables:
        page = pages[tables.pop() >> 12]
        sp = page.sp
        if sp is None:  # that of PAE roots
            return
        level = sp.role.level
        root = root or Root(bool(sp.role.smm), sp.role.guest_mode, level)
        for index, spte in page.ent.items():
            if not spte & SPTE_MMU_PRESENT_MASK:
                continue
            if level > 1 and not spte & PT_PAGE_SIZE_MASK:
                tables.append(spte & SPTE_BASE_ADDR_MASK)
                continue
            npages = 1 << 9 * (level - 1)
            looks = level, spte & ~SPTE_BASE_ADDR_MASK
            yield Mapped(root, top, sp.gfn + index * npages, npages, looks, sp.spt + 8 * index)
