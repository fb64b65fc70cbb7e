# SPDX-License-Identifier: GPL-2.0-only
"""What newer kernels' memory management does otherwise: each rule fires for what it names only."""

from __future__ import annotations

import pytest

from difffuzz.booted.doable import adapted
from difffuzz.booted.observed import Fault, Run, Seen, Set
from difffuzz.engine.newer_host import RULES, Excuses, each_vma
from difffuzz.engine.predict import compare
from difffuzz.facts.errno import EAGAIN, EFAULT, EINVAL, ENOENT
from difffuzz.machine.host import HostMM
from difffuzz.machine.uffd import MISSING, UNPROTECT
from difffuzz.program import Kind, Op, parse
from difffuzz.program.limits import area_base
from difffuzz.sched import Scheduler
from difffuzz.sides import KvmFactory, open_side

from .test_judge import seen

AREAS = ("thp", "4k", "hugetlb2m", "shared")
SPLIT = Op(Kind.LAZY_FREE, 8, (0, 0x10, 1))
REVOKED = Op(Kind.MPROTECT, 8, (1, 0, 0x200, 2))
DROPPED = Op(Kind.DONTNEED, 8, (0, 0x200, 0x200))
FORKED = Op(Kind.FORK, 8, (0, 0, 0x200))
COLLAPSED = Op(Kind.COLLAPSE, 9, (0, 0, 0x200))
TWO = (0x10, 0x8, 0x100), (0x1A, 0x16, 0x10A)
"""Of a range with a gap of two pages: page, pages, where to."""


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


def test_a_free_of_a_huge_page_that_lacks_its_first_page() -> None:
    one = excuses(DROPPED)
    one.note(SPLIT)
    assert one.answers(0, [], ["FIXED"]) == "free-splits-more"
    assert one.answers(0, ["FIXED"], []) == "free-splits-more"
    assert one.answers(0, ["FIXED"], ["RETRY"]) == excuses(SPLIT).answers(0, [], ["FIXED"]) == ""


def test_a_collapse_of_what_nobody_may_write() -> None:
    one = excuses(FORKED)
    one.note(COLLAPSED)
    assert one.returned(0, -EINVAL, 0) == "collapse-readonly"
    assert one.leaf(0, (1, False, True), (2, True, True)) == "collapse-readonly"
    assert one.answers(0, [], ["FIXED"]) == "collapse-readonly"
    assert one.returned(0, 0, -EINVAL) == one.returned(0, -EAGAIN, 0) == ""
    assert one.leaf(0, (2, True, True), (1, True, True)) == ""
    assert one.answers(0, [], ["RETRY", "FIXED"]) == ""
    for kernel, before in (((7, 2), DROPPED), ((6, 12), FORKED)):
        other = excuses(before, kernel)
        other.note(COLLAPSED)
        assert other.returned(0, -EINVAL, 0) == ""


def test_collapses_that_newer_kernels_do_not_refuse() -> None:
    shared = COLLAPSED._replace(args=(3, 0, 0x200))
    assert excuses(shared, (6, 12)).returned(3, -EINVAL, 0) == "collapse-installs"
    assert excuses(shared, (6, 12)).leaf(3, (1, True, True), (2, True, True)) != ""
    part = COLLAPSED._replace(args=(1, 0x1FF, 0x200))
    assert excuses(part).returned(1, -EINVAL, 0) == "collapse-of-nothing"
    assert excuses(part).statistics() == excuses(part, (6, 12)).returned(1, -EINVAL, 0) == ""
    whole = COLLAPSED._replace(args=(1, 0x1FF, 0x201))
    assert excuses(whole).returned(1, -EINVAL, 0) == ""


def test_a_dirty_log_lacks_what_was_never_written() -> None:
    one = excuses(SPLIT)
    assert one.undirtied(0, 0x40) == "zero-subpages"
    assert one.undirtied(1, 0x40) == excuses(REVOKED).undirtied(1, 0x40) == ""
    one.note(Op(Kind.WRITE, 0, (0x40,)))
    one.note(Op(Kind.BEGIN_FAULT, 0, (0x41, int(Kind.WRITE))))
    assert one.undirtied(0, 0x40) == one.undirtied(0, 0x41) == ""
    assert one.undirtied(0, 0x42) == "zero-subpages"


def test_what_is_done_to_several_vmas() -> None:
    mm = HostMM(Scheduler(), AREAS)
    moved = Op(Kind.MREMAP, 8, (1, 0x10, 0x20, 0x100, 1))
    assert each_vma(mm, moved, (7, 2)) == ([moved], 0)
    base = area_base(1)
    mm.munmap(base + 0x18000, base + 0x1A000)
    assert each_vma(mm, moved, (6, 12)) == ([moved], 0)
    first, second = (Op(Kind.MREMAP, 8, (1, *part, 1)) for part in TWO)
    assert each_vma(mm, moved, (7, 2)) == ([first, second], 0)
    protected = Op(Kind.UFFD, 8, (1, 0x10, 0x20, UNPROTECT))
    assert each_vma(mm, protected, (6, 1)) == ([protected], 0)
    assert [part.args for part in each_vma(mm, protected, (6, 12))[0]] == [
        (1, 0x10, 0x8, UNPROTECT),
        (1, 0x1A, 0x16, UNPROTECT),
    ]
    registered = protected._replace(args=(1, 0x10, 0x20, MISSING))
    assert each_vma(mm, registered, (6, 12)) == ([registered], 0)
    over = moved._replace(args=(1, 0x10, 0x20, 0x2F, 1))
    assert each_vma(mm, over, (7, 2)) == ([], -EINVAL)
    assert each_vma(mm, over, (6, 12)) == ([over], 0)
    mm.uffd(base + 0x1A000, base + 0x1B000, MISSING, 1)
    assert each_vma(mm, moved, (7, 2)) == ([first], -EFAULT)
    in_hole = moved._replace(args=(1, 0x18, 0x20, 0x100, 1))
    assert each_vma(mm, in_hole, (7, 2)) == ([], -EFAULT)


@pytest.mark.parametrize("op", [SPLIT, REVOKED, DROPPED], ids=["split", "mprotect", "dontneed"])
def test_only_in_its_area_and_from_its_version_on(op: Op) -> None:
    area = op.args[0]
    [rule] = [one for one in RULES.values() if op.kind in one.kinds and not one.after]
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


ANSWERED = """difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0
vcpu0: prefault gfn=0x1 n=0x2
vcpu0: prefault gfn=0x100 n=0x1
host0: uffd area=1 page=0x0 n=0x4 missing
host0: uffd area=2 page=0x0 n=0x4 missing
"""


@pytest.mark.parametrize(
    ("index", "wrong", "what"),
    [
        (0, {}, ""),
        (0, {"result": "sigbus"}, "result"),
        (1, {"ret": -EINVAL}, "returned"),
        (2, {"ret": -EINVAL}, "returned"),
    ],
)
def test_prefaults_and_userfaultfd(index: int, wrong: dict[str, object], what: str) -> None:
    small = {**STATS, "pages_4k": 2}
    rows = [
        seen(stats=small),
        seen("error", ret=-ENOENT, stats=small),
        seen(stats=small),
        seen(note="the models do not register hugetlb memory", stats=small),
    ]
    rows[index] = rows[index]._replace(**wrong)  # type: ignore[arg-type]
    side = open_side("tdp@v7.2")
    assert isinstance(side, KvmFactory)
    found = compare(adapted(parse(ANSWERED), (7, 2)), side, Run(rows, [], False))
    assert (found.difference.what if found.difference else "") == what, found


def test_the_host_finds_a_page_of_zeros_shared() -> None:
    text = PROGRAM.replace("vcpu0: write gfn=0x1", "host1: cow_write area=0 page=0x2")
    one = adapted(parse(text.replace("read gfn=0x1\n", "read gfn=0x2\n")), (7, 2))
    huge = {**STATS, "pages_2m": 1, "pages_4k": 1}
    small = {**STATS, "pages_4k": 2}
    rows = [
        seen("ok", 0, faults=[Fault(2, "FIXED")], stats=huge),
        seen(stats={**STATS, "pages_4k": 1}),
        seen(value=1, stats={**STATS, "pages_4k": 1}),
        seen("ok", 4, faults=[Fault(2, "FIXED")], stats=small),
    ]
    side = open_side("tdp@v7.2")
    assert isinstance(side, KvmFactory)
    found = compare(one, side, Run(rows, [], False))
    assert found.difference is None
    assert "zero-subpages" in found.rules
    rows[2] = rows[2]._replace(value=0)
    found = compare(one, side, Run(rows, [], False))
    assert found.difference is not None
    assert found.difference.what == "data"
