# SPDX-License-Identifier: GPL-2.0-only
"""What newer kernels' memory management does otherwise: each rule fires for what it names only."""

from __future__ import annotations

import pytest

from difffuzz.booted.doable import adapted
from difffuzz.booted.observed import Fault, Run, Seen, Set
from difffuzz.engine.newer_host import RULES, Excuses
from difffuzz.engine.predict import compare
from difffuzz.program import Kind, Op, parse
from difffuzz.sides import KvmFactory, open_side

from .test_judge import seen

AREAS = ("thp", "4k", "hugetlb2m", "shared")
SPLIT = Op(Kind.LAZY_FREE, 8, (0, 0x10, 1))
REVOKED = Op(Kind.MPROTECT, 8, (1, 0, 0x200, 2))
DROPPED = Op(Kind.DONTNEED, 8, (0, 0x200, 0x200))


def excuses(op: Op, kernel: tuple[int, int] = (7, 2)) -> Excuses:
    made = Excuses(kernel, AREAS)
    made.note(op)
    return made


def test_a_write_to_what_became_the_zero_page() -> None:
    assert excuses(SPLIT).answers(0, ["FIXED"], ["RETRY", "FIXED"]) == "zero-subpages"
    assert excuses(SPLIT).leaf(0, (1, True, True), (1, False, True)) == "zero-subpages"
    for said, shown in ((["FIXED"], []), (["RETRY", "FIXED"], ["FIXED"]), (["FIXED"], ["RETRY"])):
        assert excuses(SPLIT).answers(0, said, shown) == ""
    assert excuses(SPLIT).leaf(0, (1, True, True), (2, False, True)) == ""


def test_mprotect_makes_writable_at_once() -> None:
    assert excuses(REVOKED).leaf(1, (2, False, True), (2, True, True)) == "mprotect-writable"
    assert excuses(REVOKED).answers(1, ["FIXED"], []) == "mprotect-writable"
    assert excuses(REVOKED).leaf(1, (2, True, True), (2, False, True)) == ""
    assert excuses(REVOKED).leaf(1, (1, False, True), (2, True, True)) == ""
    assert excuses(REVOKED).answers(1, ["FIXED"], ["RETRY", "FIXED"]) == ""


def test_a_thp_where_a_page_table_was() -> None:
    assert excuses(DROPPED).leaf(0, (1, True, True), (2, True, True)) == "page-tables-reclaimed"
    assert excuses(DROPPED).leaf(0, (2, True, True), (1, True, True)) == ""
    assert excuses(DROPPED).answers(0, ["FIXED"], ["RETRY", "FIXED"]) == ""
    part = DROPPED._replace(args=(0, 0x200, 0x1FF))
    assert excuses(part).leaf(0, (1, True, True), (2, True, True)) == ""


@pytest.mark.parametrize("op", [SPLIT, REVOKED, DROPPED], ids=["split", "mprotect", "dontneed"])
def test_only_in_its_area_and_from_its_version_on(op: Op) -> None:
    area = op.args[0]
    [rule] = [rule for rule in RULES.values() if op.kind in rule.kinds]
    assert excuses(op).statistics() != ""
    assert Excuses((7, 2), AREAS).statistics() == ""
    major, minor = rule.since
    assert excuses(op, (major, minor)).statistics() != ""
    assert excuses(op, (major, minor - 1)).statistics() == ""
    assert excuses(op, (6, 1)).statistics() == ""
    for other in (2, 3):
        assert excuses(op._replace(args=(other, *op.args[1:]))).statistics() == ""
    one = excuses(op)
    assert one.leaf(1 - area, (1, False, True), (1, True, True)) == ""
    assert not one.relaxed


PROGRAM = """difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x400 area=0 page=0x0
vcpu0: read gfn=0x1
host0: lazy_free area=0 page=0x1 n=0x1
vcpu0: write gfn=0x1
vcpu0: read gfn=0x1
"""
STATS = {"pages_4k": 0, "pages_2m": 0, "pages_1g": 0, "nx_lpage_splits": 0}


def shown(value: int) -> list[Seen]:
    huge = {**STATS, "pages_2m": 1, "pages_4k": 1}
    small = {**STATS, "pages_4k": 2}
    return [
        seen("ok", 0, faults=[Fault(1, "FIXED")], sets=[Set(0, 2, 0x887)], stats=huge),
        seen(stats={**STATS, "pages_4k": 1}),
        seen("ok", 4, faults=[Fault(1, "RETRY"), Fault(1, "FIXED")], stats=small),
        seen("ok", value, stats=small),
    ]


def test_data_are_compared_still() -> None:
    """The same showing is a difference of 6.1's, and wrong data is one of both."""
    for kernel, model, value, what in (
        ((7, 2), "tdp@v7.2", 4, ""),
        ((7, 2), "tdp@v7.2", 9, "data"),
        ((6, 1), "tdp@v6.1", 4, "RET_PF"),
    ):
        side = open_side(model)
        assert isinstance(side, KvmFactory)
        one = adapted(parse(PROGRAM), kernel)
        found = compare(one, side, Run(shown(value), [], False))
        assert (found.difference.what if found.difference else "") == what, found
        assert ("zero-subpages" in found.rules) == (kernel == (7, 2))
