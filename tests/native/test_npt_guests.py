# SPDX-License-Identifier: GPL-2.0-only
"""An L1 that runs an L2 under an NPT of its own, on the kernel's own code."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest

from difffuzz.engine.guest_lockstep import run
from difffuzz.oracle import Verdict
from difffuzz.program import normalise, parse
from difffuzz.program.generate_guest import generate_guest
from difffuzz.program.ops import Kind
from difffuzz.sides import SideFactory, open_side

from .kernel import built, built_newer

MACHINE = "difffuzz program v1\nconfig guest=npt12 vcpus=2\nslot 0 gfn=0x0 pages=0x200 area=0\n"
P, W, U, RSVD, FETCH = 1, 2, 4, 8, 16


@cache
def sides(version: str = "") -> tuple[SideFactory, SideFactory]:
    name = built_newer(version) if version else built()
    return open_side(f"native:{name}:legacy"), open_side(f"native:{name}:tdp")


def verdict_of(operations: str, version: str = "") -> Verdict:
    return run(parse(MACHINE + operations, "test"), *sides(version), trace=True)


def results(operations: str, version: str = "") -> list[tuple[str, int]]:
    """What each operation came to on the left side; the right one is the same."""
    verdict = verdict_of(operations, version)
    assert not verdict.divergences, verdict.divergences
    return [(step.left.result, step.left.value) for step in verdict.trace]  # type: ignore[attr-defined]


@pytest.mark.parametrize("version", ["", "6.12", "7.2"])
def test_l2_sees_what_the_npt_of_l1_says(version: str) -> None:
    assert results(
        """\
vcpu0: l2_write gpa=0.0.0.0
vcpu0: read gfn=0x10
vcpu0: pte G.0 to=0x13 flags=p,w,u,nx
vcpu0: invept
vcpu0: l2_read gpa=0.0.0.0
vcpu0: l2_exec gpa=0.0.0.0
vcpu0: l2_read gpa=0.1.0.3
vcpu0: cr3 B
vcpu0: l2_exec gpa=1.0.0.1
vcpu1: l2_read gpa=0.0.0.1
""",
        version,
    ) == [
        ("ok", 1),
        ("ok", 1),
        ("ok", 0x13007 - (1 << 63) & (1 << 64) - 1),
        ("done", 0),
        ("ok", 0),
        ("fault", P | U | FETCH),
        ("mmio", 0),
        ("done", 0),
        ("ok", 0),
        ("ok", 0),
    ]


@pytest.mark.parametrize(
    ("entry", "access", "value"),
    [
        ("G.0 to=none", "l2_read", U),
        ("G.0 to=0x10 flags=p,u", "l2_write", P | W | U),
        ("G.0 to=0x10 flags=p,w,u,nx", "l2_exec", P | U | FETCH),
        ("G.0 to=0x10 flags=p,w", "l2_read", P | U),
        ("E.0 to=G flags=p,w", "l2_write", P | W | U),
        ("E.0 to=0x3ff flags=p,w,u,ps", "l2_read", P | U | RSVD),
        ("A.0 to=C flags=p,w,u,ps", "l2_read", P | U | RSVD),
        ("A.0 to=none", "l2_exec", U | FETCH),
    ],
)
def test_what_it_forbids_exits_to_l1(entry: str, access: str, value: int) -> None:
    operations = f"vcpu0: pte {entry}\nvcpu0: {access} gpa=0.0.0.0\nvcpu0: read gfn=0x10\n"
    assert results(operations)[1:] == [("fault", value), ("ok", 0)]


def test_accessed_and_dirty_bits_are_written_into_the_npt() -> None:
    verdict = verdict_of("vcpu0: l2_write gpa=0.0.0.0\n")
    walk, kvm = verdict.trace[0].walks[1]  # type: ignore[attr-defined]
    assert walk.endswith("A.0 = C p,w,u,a, C.0 = E p,w,u,a, E.0 = G p,w,u,a, G.0 = 0x10 p,w,u,a,d")
    assert kvm.startswith("KVM: level 4 pfn")


@pytest.mark.parametrize("version", ["", "7.2"])
def test_the_nx_of_l1_counts_and_its_write_protection_does_not(version: str) -> None:
    toggled = results(
        """\
vcpu0: pte G.0 to=0x10 flags=p,u,nx
vcpu0: l2_read gpa=0.0.0.0
vcpu0: toggle nx
vcpu0: l2_read gpa=0.0.0.0
vcpu0: toggle nx
vcpu0: toggle wp
vcpu0: toggle smep
vcpu0: l2_read gpa=0.0.0.0
vcpu0: l2_write gpa=0.0.0.0
""",
        version,
    )
    assert toggled[1:] == [
        ("ok", 0),
        ("done", 0),
        ("fault", P | U | RSVD),
        ("done", 0),
        ("nothing", 0),
        ("done", 0),
        ("ok", 0),
        ("fault", P | W | U),
    ]


def test_a_fetch_is_not_told_as_one_where_nx_is_off() -> None:
    fetch = "vcpu0: toggle nx\nvcpu0: pte G.0 to=none\nvcpu0: l2_exec gpa=0.0.0.0\n"
    verdict = verdict_of(fetch)
    assert not verdict.divergences
    assert verdict.allowed["npt-fetch"] == 2
    assert not verdict_of(fetch.replace("toggle nx", "toggle smep")).allowed


def test_other_vcpus_may_use_what_they_cached_until_they_flush_it() -> None:
    stale = """\
vcpu1: l2_read gpa=0.0.0.0
vcpu0: pte G.1 to=0x12 flags=p,w,u
vcpu0: pte G.0 to=0x13 flags=p,w,u
vcpu0: invept
vcpu1: l2_write gpa=0.0.0.0
"""
    verdict = verdict_of(stale)
    assert not verdict.divergences
    assert verdict.allowed["stale-translation"] == 1
    assert not verdict_of(stale.replace("vcpu1: l2_w", "vcpu1: invept\nvcpu1: l2_w")).allowed


def test_generated_l2s_reach_memory_and_exit() -> None:
    rng = Random(1)
    seen: dict[str, int] = {}
    toggles = 0
    for _ in range(6):
        program = generate_guest(rng, "npt12")
        assert normalise(program) is program
        assert program.config.layout == "npt"
        toggles += sum(op.kind == Kind.TOGGLE for op in program.ops)
        for step in run(program, *sides(), trace=True).trace:
            for outcome in (step.left, step.right):  # type: ignore[attr-defined]
                seen[outcome.result] = seen.get(outcome.result, 0) + 1
    assert seen["ok"] > 100
    assert seen["fault"] > 5
    assert seen["mmio"] > 0
    assert toggles
