# SPDX-License-Identifier: GPL-2.0-only
"""Exploration: complete within its bound, and the reduction loses nothing."""

from __future__ import annotations

import gc

import pytest

from difffuzz.engine import concurrent
from difffuzz.engine.concurrent import NO_PAGES
from difffuzz.engine.explore import Exploration, different_ends, explore
from difffuzz.engine.sampling import sample
from difffuzz.program import parse
from difffuzz.sides import open_side
from difffuzz.variants.catalogue import find

LEGACY, TDP = "legacy", "tdp"
MEMORY = "difffuzz program v1\nconfig vcpus=2\nslot 0 gfn=0x0 pages=0x400 area=1\n"
SMALL = {
    "fault against unmap": "vcpu0: write gfn=0x1\nhost0: dontneed area=1 page=0 n=4\n",
    "two faults": "vcpu0: write gfn=0x1\nvcpu1: read gfn=0x1\n",
    "fault against delete": "vcpu0: read gfn=0x1\nvmm: memslot_delete slot=0\n",
    "mapped, then unmapped and read": "vcpu0: write gfn=0x1\nvmm: sync\nvcpu0: read gfn=0x1\n"
    "host0: munmap area=1 page=0 n=4\n",
}


def run(
    text: str,
    left: str,
    right: str,
    preemptions: int,
    reduce: bool = True,
    order: int | None = None,
) -> Exploration:
    program = parse(MEMORY + text)
    return explore(
        program, open_side(left), open_side(right), preemptions, reduce=reduce, order=order
    )


def shown(found: Exploration) -> set[str]:
    return {one.divergence.signature for one in found.shown}


@pytest.mark.parametrize("text", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("preemptions", [0, 1])
@pytest.mark.parametrize("order", [None, 1])
def test_the_reduction_loses_no_end(text: str, preemptions: int, order: int | None) -> None:
    reduced = run(text, LEGACY, TDP, preemptions, order=order)
    full = run(text, LEGACY, TDP, preemptions, reduce=False)
    assert reduced.complete
    assert full.complete
    assert not reduced.shown
    assert not full.shown
    assert reduced.ends == full.ends
    # Every order of what matters came up, maybe in another schedule.
    for some, every in zip(reduced.orders, full.orders, strict=True):
        assert every <= some


@pytest.mark.parametrize("bug", ["d02c357e5bfa", "a955cad84cda", "edb298c663fc"])
def test_the_reduction_loses_no_divergence(bug: str) -> None:
    right = f"tdp+{find(bug).patch}"
    texts = [*SMALL.values(), "vcpu0: write gfn=0x1\nvmm: zap_gfn_range gfn=0x0 n=0x200\n"]
    for text in texts:
        reduced = run(text, LEGACY, right, 1)
        full = run(text, LEGACY, right, 1, reduce=False)
        assert shown(reduced) == shown(full), text


def test_a_search_in_random_order_loses_no_divergence() -> None:
    right = f"tdp+{find('edb298c663fc').patch}"
    text = "vcpu0: write gfn=0x1\nvmm: zap_gfn_range gfn=0x0 n=0x200\n"
    first = run(text, LEGACY, right, 2)
    assert shown(first)
    for order in range(3):
        other = run(text, LEGACY, right, 2, order=order)
        assert other.complete
        assert shown(other) == shown(first)


def test_a_search_in_random_order_sees_more_before_it_ends() -> None:
    """Depth first, the first runs all leave the first one at its end."""
    bug = find("21a36ac6b6c7")
    program = parse(bug.program)._replace(schedule=())
    left, right = map(open_side, bug.sides())
    found = [
        bool(explore(program, left, right, 2, limit=15_000, first_only=True, order=order).shown)
        for order in (None, *range(8))
    ]
    assert not found[0]
    assert sum(found[1:]) >= 3


def test_one_side_can_be_searched_alone() -> None:
    program = parse(MEMORY + "vcpu0: write gfn=0x1\nvmm: zap_gfn_range gfn=0x0 n=0x200\n")
    left, right = open_side(LEGACY), open_side(f"tdp+{find('edb298c663fc').patch}")
    one, other, both = (
        explore(program, left, right, 1, sides=sides) for sides in ((0,), (1,), (0, 1))
    )
    assert not one.shown
    assert shown(other) == shown(both) != set()
    assert one.schedules + other.schedules == both.schedules
    assert [*one.ends, *other.ends] == both.ends


def test_a_search_of_one_phase_departs_there_only() -> None:
    text = SMALL["mapped, then unmapped and read"]
    race = "vcpu0: write gfn=0x1\nvcpu1: read gfn=0x1\nvmm: sync\n"
    program = parse(MEMORY + race + text)
    left, right = open_side(LEGACY), open_side(TDP)
    both, first, last = (explore(program, left, right, 1, phase=phase) for phase in (0, 1, 3))
    assert both.complete
    assert first.complete
    assert last.complete
    assert first.schedules + last.schedules < both.schedules + 30
    alone = explore(program, left, right, 1, phase=2)
    assert alone.schedules < first.schedules
    for one in (first, last, alone):
        assert all(some <= every for some, every in zip(one.ends, both.ends, strict=True))


def test_more_preemptions_are_more_schedules() -> None:
    counts = [run(SMALL["fault against unmap"], LEGACY, TDP, k).schedules for k in (0, 1, 2)]
    assert counts == sorted(counts)
    assert counts[0] < counts[2]


def test_without_reduction_there_are_more() -> None:
    text = SMALL["fault against unmap"]
    assert (
        run(text, LEGACY, TDP, 2).schedules * 2 < run(text, LEGACY, TDP, 2, reduce=False).schedules
    )


def test_a_search_out_of_time_is_not_complete() -> None:
    program = parse(MEMORY + SMALL["fault against unmap"])
    found = explore(program, open_side(LEGACY), open_side(TDP), 3, seconds=1e-6)
    assert not found.complete


def test_a_long_run_that_gets_somewhere_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("difffuzz.engine.explore.STEPS", 60)
    found = run(SMALL["mapped, then unmapped and read"], LEGACY, TDP, 1)
    assert not found.complete
    assert not found.shown


def test_the_schedule_that_was_shown_replays() -> None:
    from difffuzz.engine import concurrent
    from difffuzz.oracle import Verdict

    side = open_side(f"tdp+{find('d02c357e5bfa').patch}")
    program = parse(MEMORY + SMALL["fault against unmap"])
    found = explore(program, open_side(LEGACY), side, 1)
    assert found.shown
    for one in found.shown:
        verdict = Verdict()
        concurrent.run_side(program._replace(schedule=one.schedule), side, 1, verdict)
        assert one.divergence.signature in {two.signature for two in verdict.divergences}


def test_a_probe_without_pages_is_not_compared() -> None:
    failed: set[tuple[str, ...]] = {(NO_PAGES, "mmio"), ("ok", "mmio")}
    assert not different_ends(failed, {("ok", "mmio")})
    assert different_ends(failed, {("ok", "ok")}) == {("mmio",), ("ok",)}
    assert different_ends({("ok",)}, {("mmio",)})


def test_what_tears_an_spte_is_found_early() -> None:
    """Aging between the freeze of a huge page and its end, by two preemptions of a thousand."""
    bug = find("3d679b7cb31f")
    program = parse(str(bug.program_on("v6.1")))._replace(schedule=())
    rooted = program.ops[0]._replace(thread=1)
    program = program._replace(ops=(program.ops[0], rooted, *program.ops[1:]))
    left, right = (open_side(side) for side in bug.sides("v6.1"))
    for order in (1, 2):
        found = explore(
            program, left, right, 2, limit=30_000, first_only=True, order=order, phase=2, sides=(1,)
        )
        assert shown(found) == {"accounting:tdp@v6.1:meeting:pages"}


@pytest.mark.parametrize("text", SMALL.values(), ids=SMALL)
def test_runs_leave_nothing_to_a_garbage_collector(text: str) -> None:
    program = parse(MEMORY + text)
    sides = open_side(LEGACY), open_side(TDP)
    concurrent.run(program, *sides)
    gc.collect()
    gc.disable()
    try:
        concurrent.run(program, *sides)
        explore(program, *sides, 1)
        sample(program, *sides, "pos", schedules=3)
        assert gc.collect() == 0
    finally:
        gc.enable()
