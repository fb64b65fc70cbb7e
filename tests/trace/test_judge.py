# SPDX-License-Identifier: GPL-2.0-only
"""Every rule has a trace that it proves wrong, and a neighbour that it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.trace.judge import RULES, judge
from difffuzz.trace.slots import TracedSlot

from .written import (
    BEGAN,
    ENDS,
    FROZEN,
    HOST,
    LOST,
    MAIN,
    OTHER,
    ROOT,
    VCPU,
    answer,
    changed,
    fault,
    leaf,
    mapping,
    read,
    requested,
    set_spte,
    table,
    unmap,
    zap_page,
)

HVA = 0x7F0000000000
SLOT = TracedSlot(0, 0x1000, HVA)
OLD = leaf(0x500)
Events = list[tuple[str, str]]


def by(task: str, *events: str) -> Events:
    return [(task, event) for event in events]


def faulting(gfn: int, *events: str, code: int = 2) -> Events:
    return by(VCPU, fault(gfn, code), *events)


def huge(pfn: int) -> str:
    return changed(0x200, table(9), leaf(pfn, 2), 2)


def small(pfn: int) -> str:
    return changed(0x201, leaf(pfn), FROZEN)


INVALIDATED = by(HOST, unmap(HVA + 0x3000, HVA + 0x4000))
END = by(HOST, ENDS)
CLEAN = changed(3, leaf(0x500, dirty=True), leaf(0x500, writable=False))
ROOTED = by(VCPU, ROOT)
WRONG: dict[str, Events] = {
    "leaf-inside-invalidation": [*INVALIDATED, *by(HOST, BEGAN), *mapping(3, 0x500), *END],
    "pfn-changed-without-zap": by(MAIN, changed(3, OLD, leaf(0x501))),
    "table-replaced-unzapped": by(MAIN, huge(0x600), zap_page(0x400, 1)),
    "small-page-of-another-pfn": by(MAIN, huge(0x600), zap_page(0x200, 1), small(0x777)),
    "misaligned": by(MAIN, changed(0x200, 0, leaf(0x601, 2), 2)),
    "writable-invariant": by(MAIN, changed(3, 0, OLD), changed(4, 0, leaf(0x501) & ~0x400)),
    "nonpresent-changed": by(MAIN, changed(3, 0, OLD), changed(4, FROZEN, 0)),
    "level-above-requested": faulting(
        0x201, requested(0x201, 0x601), changed(0x200, 0, leaf(0x600, 2), 2),
        set_spte(0x200, leaf(0x600, 2), 2),
    ),
    "wrong-pfn": faulting(3, requested(3, 0x500), changed(3, 0, leaf(0x501)), set_spte(3, OLD)),
    "retry-but-set": faulting(
        3, requested(3, 0x500), changed(3, 0, OLD), set_spte(3, OLD), answer(1)
    ),
    "fixed-but-not-set": [*mapping(4, 0x501), *faulting(3, requested(3, 0x500), answer(4))],
    "write-fixed-without-write": faulting(
        3, requested(3, 0x500), changed(3, 0, leaf(0x500, writable=False)), set_spte(3, OLD),
        answer(4),
    ),
    "write-protected-written": [
        *ROOTED, *by(MAIN, changed(3, 0, OLD), CLEAN),
        *by(MAIN, changed(3, leaf(0x500, writable=False, dirty=True), 0)),
    ],
    "unseen-change": [*ROOTED, *by(MAIN, changed(3, 0, OLD), changed(3, leaf(0x777), 0))],
}  # fmt: skip
RIGHT: dict[str, list[Events]] = {
    "leaf-inside-invalidation": [
        [*INVALIDATED, *mapping(3, 0x500), *by(HOST, BEGAN), *END],
        [*INVALIDATED, *by(HOST, BEGAN), *END, *mapping(3, 0x500)],
        [*INVALIDATED, *by(HOST, BEGAN), *mapping(4, 0x500), *END],
    ],
    "pfn-changed-without-zap": [
        by(MAIN, changed(3, OLD, 0), changed(3, 0, leaf(0x501))),
        by(MAIN, changed(3, OLD, leaf(0x500, writable=False))),
    ],
    "table-replaced-unzapped": [
        by(MAIN, huge(0x600), zap_page(0x200, 1), small(0x601)),
        by(MAIN, zap_page(0x200, 1), small(0x601), huge(0x600), zap_page(0x400, 1)),
    ],
    "small-page-of-another-pfn": [
        by(MAIN, huge(0x600), zap_page(0x200, 1), small(0x601)),
        by(MAIN, huge(0x600), zap_page(0x200, 1), changed(0x401, leaf(0x777), FROZEN)),
    ],
    "misaligned": [by(MAIN, changed(0x200, 0, leaf(0x600, 2), 2))],
    "writable-invariant": [
        by(MAIN, changed(3, 0, OLD), changed(4, 0, leaf(0x501, writable=False)))
    ],
    "nonpresent-changed": [by(MAIN, changed(3, 0, OLD), changed(4, 0, 0x7), changed(5, 0, FROZEN))],
    "level-above-requested": [
        faulting(
            0x201, requested(0x201, 0x601, 2), changed(0x201, 0, leaf(0x601)),
            set_spte(0x201, leaf(0x601)),
        ),
    ],
    "wrong-pfn": [mapping(3, 0x500)],
    "retry-but-set": [[*mapping(4, 0x501), *faulting(3, requested(3, 0x500), answer(1))]],
    "fixed-but-not-set": [[*mapping(4, 0x501), *faulting(3, answer(4))]],
    "write-fixed-without-write": [
        faulting(
            3, requested(3, 0x500), changed(3, 0, leaf(0x500, writable=False)), set_spte(3, OLD),
            answer(4), code=0,
        ),
    ],
    "write-protected-written": [
        [*ROOTED, *by(MAIN, changed(3, 0, OLD), CLEAN, changed(3, leaf(0x500, dirty=True), 0))],
    ],
    "unseen-change": [
        [*ROOTED, *by(MAIN, changed(3, 0, OLD), changed(3, leaf(0x500, dirty=True), 0))],
        [
            *ROOTED,
            *by(MAIN, changed(0x200, 0, leaf(0x600, 2), 2)),
            *by(MAIN, changed(0x200, leaf(0x600, 2), table(9), 2), changed(0x201, leaf(0x601), 0)),
        ],
    ],
}  # fmt: skip


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_a_rule_fires_where_it_must(rule: str, tmp_path: Path) -> None:
    judgement = judge(read(tmp_path, *WRONG[rule]), [SLOT])
    mine = [one for one in judgement.findings if one.rule == rule]
    assert [one.proven for one in mine] == [True]
    assert mine[0].lines


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_a_rule_is_quiet_where_it_must_be(rule: str, tmp_path: Path) -> None:
    for events in RIGHT[rule]:
        judgement = judge(read(tmp_path, *events), [SLOT])
        assert rule in judgement.judged
        assert [one for one in judgement.findings if one.rule == rule] == []


def test_a_trace_that_is_right_is_right(tmp_path: Path) -> None:
    events = [*ROOTED, *mapping(3, 0x500), *INVALIDATED, *by(HOST, changed(3, OLD, 0), ENDS)]
    judgement = judge(read(tmp_path, *events, *mapping(3, 0x501)), [SLOT])
    assert judgement.findings == []
    assert {needs for _, needs in judgement.not_judged} == {"kvm_mmu_prepare_zap_page"}


def test_a_zap_shows_that_an_invalidation_has_begun(tmp_path: Path) -> None:
    events = [
        *mapping(3, 0x500), *INVALIDATED, *by(HOST, changed(3, OLD, 0)), *mapping(3, 0x500), *END,
    ]  # fmt: skip
    found = judge(read(tmp_path, *events), [SLOT]).findings
    assert [(one.rule, one.lines) for one in found] == [("leaf-inside-invalidation", (8, 9, 12))]


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ([], [], "another root"),
        (ROOTED, by(OTHER, changed(3, 0, leaf(0x777))), "a race"),
        ([*ROOTED, LOST], [], "were lost"),
    ],
)
def test_what_may_have_another_reason_is_doubtful(
    before: Events, after: Events, why: str, tmp_path: Path
) -> None:
    wrong = by(MAIN, changed(3, 0, OLD), changed(3, leaf(0x777), 0))
    trace = read(tmp_path, *before, *wrong, *after)
    found = [one for one in judge(trace, []).findings if one.rule == "unseen-change"]
    assert [one.proven for one in found] == [False]
    assert why in found[0].text


def test_two_vms_prove_nothing_across_tasks(tmp_path: Path) -> None:
    events = [*WRONG["unseen-change"], *mapping(8, 0x600), *mapping(9, 0x601, OTHER)]
    found = [one for one in judge(read(tmp_path, *events), []).findings if "unseen" in one.rule]
    assert [one.proven for one in found] == [False]
    assert "more than one VM" in found[0].text


def test_every_rule_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs/trace.md").read_text()
    assert [rule.name for rule in RULES if f"| {rule.name} |" not in text] == []
