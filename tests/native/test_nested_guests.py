# SPDX-License-Identifier: GPL-2.0-only
"""An L1 that runs an L2 under an EPT of its own, on the kernel's own code."""

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

MACHINE = "difffuzz program v1\nconfig guest=ept12 vcpus=2\nslot 0 gfn=0x0 pages=0x200 area=0\n"
VIOLATION, MISCONFIG = 0, 8


@cache
def sides(version: str = "") -> tuple[SideFactory, SideFactory]:
    name = built_newer(version) if version else built()
    return open_side(f"native:{name}:legacy"), open_side(f"native:{name}:tdp")


def verdict_of(operations: str, version: str = "", config: str = "") -> Verdict:
    machine = MACHINE.replace("vcpus=2", f"vcpus=2 {config}")
    return run(parse(machine + operations, "test"), *sides(version), trace=True)


def results(operations: str, version: str = "", config: str = "") -> list[tuple[str, int]]:
    """What each operation came to on the left side; the right one is the same."""
    verdict = verdict_of(operations, version, config)
    assert not verdict.divergences, verdict.divergences
    return [(step.left.result, step.left.value) for step in verdict.trace]  # type: ignore[attr-defined]


@pytest.mark.parametrize("version", ["", "6.12", "7.2"])
@pytest.mark.parametrize("config", ["", "ad=off"])
def test_l2_sees_what_the_ept_of_l1_says(version: str, config: str) -> None:
    assert results(
        """\
vcpu0: gva_write gva=0.0.0.0
vcpu0: read gfn=0x10
vcpu0: pte G.0 to=0x13 flags=p,w,u
vcpu0: invlpg gva=0.0.0.0
vcpu0: gva_read gva=0.0.0.0
vcpu0: gva_read gva=0.1.0.3
vcpu0: cr3 B
vcpu0: gva_exec gva=1.0.0.0
vcpu1: gva_read gva=0.0.0.1
""",
        version,
        config,
    ) == [
        ("ok", 1),
        ("ok", 1),
        ("ok", 0x13007),
        ("done", 0),
        ("ok", 0),
        ("mmio", 0),
        ("done", 0),
        ("ok", 0),
        ("ok", 0),
    ]


@pytest.mark.parametrize(
    ("entry", "access", "value"),
    [
        ("G.0 to=none", "gva_read", VIOLATION),
        ("G.0 to=0x10 flags=p,u", "gva_write", VIOLATION),
        ("G.0 to=0x10 flags=p,w,u,nx", "gva_exec", VIOLATION),
        ("G.0 to=0x10 flags=u", "gva_read", VIOLATION),
        ("G.0 to=0x10 flags=w,u", "gva_read", MISCONFIG),
        ("E.0 to=0x3ff flags=p,w,u,ps", "gva_read", MISCONFIG),
        ("A.0 to=none", "gva_exec", VIOLATION),
    ],
)
def test_what_it_forbids_exits_to_l1(entry: str, access: str, value: int) -> None:
    operations = f"vcpu0: pte {entry}\nvcpu0: {access} gva=0.0.0.0\nvcpu0: read gfn=0x10\n"
    assert results(operations)[1:] == [("fault", value), ("ok", 0)]


def test_what_it_allows_does_not() -> None:
    assert results("vcpu0: pte G.0 to=0x10 flags=u\nvcpu0: gva_exec gva=0.0.0.0\n")[1][0] == "ok"
    assert results("vcpu0: pte G.0 to=0x10 flags=p\nvcpu0: gva_read gva=0.0.0.0\n")[1][0] == "ok"


def test_a_fetch_where_no_memory_is_is_emulated_as_a_read() -> None:
    fetch = "vcpu0: pte G.0 to=0x400 flags=u\nvcpu0: l2_exec gpa=0.0.0.0\n"
    verdict = verdict_of(fetch)
    assert not verdict.divergences
    assert verdict.allowed["emulated-fetch"] == 2
    assert not verdict_of(fetch, "7.2").allowed


def test_accessed_and_dirty_bits_are_written_into_the_ept() -> None:
    operations = "vcpu0: gva_write gva=0.0.0.0\nvcpu0: gva_read gva=0.0.0.0\n"
    for config, bits in (("", 0x300), ("ad=off", 0)):
        verdict = verdict_of(operations, config=config)
        walk = verdict.trace[0].walks[0][0]  # type: ignore[attr-defined]
        assert ("G.0 = 0x10 p,w,u,a,d" in walk) == bool(bits), walk


def test_other_vcpus_may_use_what_they_cached_until_they_invalidate_it() -> None:
    stale = """\
vcpu1: gva_read gva=0.0.0.0
vcpu0: pte G.1 to=0x12 flags=p,w,u
vcpu0: pte G.0 to=0x13 flags=p,w,u
vcpu0: invlpg gva=0.0.0.0
vcpu1: gva_write gva=0.0.0.0
"""
    verdict = verdict_of(stale)
    assert not verdict.divergences
    assert verdict.allowed["stale-translation"] == 1
    assert not verdict_of(
        stale.replace("vcpu1: gva_w", "vcpu1: invlpg gva=0.0.0.0\nvcpu1: gva_w")
    ).allowed


def test_registers_of_l2_are_left_alone() -> None:
    assert results("vcpu0: toggle wp\nvcpu0: gva_write gva=0.0.0.0\n") == [
        ("nothing", 0),
        ("ok", 2),
    ]


def test_generated_l2s_reach_memory_and_exit() -> None:
    rng = Random(1)
    seen: dict[str, int] = {}
    for _ in range(6):
        program = generate_guest(rng, "ept12")
        assert normalise(program) is program
        assert program.config.layout == "ept"
        assert not any(op.kind == Kind.TOGGLE for op in program.ops)
        for step in run(program, *sides(), trace=True).trace:
            for outcome in (step.left, step.right):  # type: ignore[attr-defined]
                seen[outcome.result] = seen.get(outcome.result, 0) + 1
    assert seen["ok"] > 100
    assert seen["fault"] > 5
    assert seen["mmio"] > 0
