# SPDX-License-Identifier: GPL-2.0-only
"""Pairs of changes of one SPTE by two threads."""

from __future__ import annotations

from difffuzz.engine import concurrent
from difffuzz.engine.conflicts import Conflicts, changed, ended, feature
from difffuzz.facts.paging import PT_PAGE_SIZE_MASK
from difffuzz.facts.spte import SPTE_MMU_PRESENT_MASK
from difffuzz.program import Kind, parse
from difffuzz.program.limits import FEATURES
from difffuzz.sides import open_side
from difffuzz.sides.base import Outcome

LEAF = SPTE_MMU_PRESENT_MASK | PT_PAGE_SIZE_MASK | 0x1000
SLOT = "difffuzz program v1\nconfig vcpus=2\nslot 0 gfn=0 pages=8 area=1\n"


def conflicts(text: str) -> set[tuple[int, int]]:
    return concurrent.run(parse(SLOT + text), open_side("legacy"), open_side("tdp")).conflicts


def test_two_threads_at_one_spte() -> None:
    met = Conflicts()
    made, gone = changed(Kind.READ, 1, 0, LEAF), changed(Kind.ZAP_GFN_RANGE, 1, LEAF, 0)
    met.note(0x1000, 0, made)
    met.note(0x1008, 6, gone)
    assert not met.take()
    met.note(0x1000, 0, made)
    met.note(0x1000, 0, gone)
    assert not met.take()
    met.note(0x1000, 0, made)
    met.note(0x1000, 6, gone)
    assert met.take() == {(made, gone)}
    assert not met.take()


def test_what_the_host_does_is_one_kind() -> None:
    assert changed(Kind.MIGRATE, 1, LEAF, 0) == changed(Kind.DONTNEED, 1, LEAF, 0)
    assert changed(Kind.READ, 1, 0, LEAF) != changed(Kind.EXEC, 1, 0, LEAF)
    assert changed(Kind.READ, 1, 0, LEAF) != changed(Kind.READ, 2, 0, LEAF)


def test_a_table_is_no_leaf() -> None:
    assert changed(Kind.READ, 2, 0, LEAF) != changed(Kind.READ, 2, 0, LEAF & ~PT_PAGE_SIZE_MASK)


def test_features_are_in_range() -> None:
    pairs = [
        (changed(one, 2, 0, LEAF), changed(other, 2, LEAF, 0)) for one in Kind for other in Kind
    ]
    assert all(0 <= feature(pair) < FEATURES for pair in pairs)
    assert len({feature(pair) for pair in pairs}) > len(set(pairs)) * 0.95


def test_threads_meet_in_a_phase_only() -> None:
    race = "vcpu0: read gfn=0\nhost0: dontneed area=1 page=0 n=1\n"
    both = changed(Kind.READ, 1, 0, LEAF), changed(Kind.MUNMAP, 1, LEAF, 0)
    assert both in conflicts(race)
    assert not conflicts(race.replace("host0", "vmm: sync\nhost0"))
    assert conflicts("vcpu0: read gfn=0\n") == set()


def test_how_operations_end_together() -> None:
    ok, mmio = Outcome("ok"), Outcome("mmio")
    assert ended(Kind.READ, ok) != ended(Kind.READ, mmio)
    both = conflicts("vcpu0: read gfn=0\nvcpu1: read gfn=9\n")
    assert tuple(sorted((ended(Kind.READ, ok), ended(Kind.READ, mmio)))) in both
