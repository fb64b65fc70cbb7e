# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own code, Linux 7.2, and the model of that version."""

from __future__ import annotations

import random

import pytest

from difffuzz.commands.comparing import variant_of
from difffuzz.engine.conform import conform, conform_scheduled
from difffuzz.program import generate, parse
from difffuzz.running.runner import Runner
from difffuzz.sides import KvmFactory, open_side

from .kernel import built_newer, programs

MMUS = ("legacy", "tdp")
ZAP = """difffuzz program v1
config eager_split=off manual_protect=on init_set=on
slot 0 as=0 gfn=0x1c1 pages=0x400 area=0 page=0x1c1
vmm: zap_gfn_range gfn=0x1c1 n=0x1
"""
LOG_EDGE = """vcpu0: write gfn=0x200
vmm: memslot_flags slot=0 as=0 flags=dirty
vmm: dirty_clear slot=0 as=0 first=0x0 n=0x40
vcpu0: write gfn=0x200
vmm: dirty_get slot=0 as=0
"""


def side(name: str) -> KvmFactory:
    """A side that runs on a model or on the kernel's own code."""
    found = open_side(name)
    assert isinstance(found, KvmFactory)
    return found


def native(mmu: str) -> KvmFactory:
    """A side of the build."""
    return side(f"native:{built_newer('7.2')}:{mmu}")


def test_the_model_of_a_build_is_found() -> None:
    assert variant_of("7.2.13") == "@v7.2"


@pytest.mark.parametrize("mmu", MMUS)
def test_the_model_does_what_the_kernel_does(mmu: str) -> None:
    left, right = side(f"{mmu}@v7.2"), native(mmu)
    rng = random.Random(72)
    for program in programs("seeds", "regressions") + [generate(rng) for _ in range(150)]:
        if mmu == "legacy" or program.config.paging == "tdp":
            assert conform(program, left, right) is None, program


@pytest.mark.parametrize("mmu", MMUS)
def test_the_model_does_what_the_kernel_does_under_a_schedule(mmu: str) -> None:
    left, right = side(f"{mmu}@v7.2"), native(mmu)
    for seed, program in enumerate(programs("concurrent")):
        assert conform_scheduled(program, left, right, seed) is None, program


@pytest.mark.parametrize("tells_once", [True, False])
def test_who_fuzzes_is_told_once_of_memslots_read_without_srcu(tells_once: bool) -> None:
    """The engine judges the first such program; what is behind it is compared all the same."""
    name = built_newer("7.2")
    runner = Runner(f"native:{name}:legacy", f"native:{name}:tdp", "lockstep")
    assert runner.fast is not None
    runner.fast.tells_once = tells_once
    found = [[one.oracle for one in runner(parse(ZAP)).divergences] for _ in range(2)]
    assert found == [["rcu"], [] if tells_once else ["rcu"]]
    assert {one.oracle for one in runner(parse(ZAP + LOG_EDGE)).divergences} == {"dirty-log"}


def test_the_model_of_6_12_is_another_kernel() -> None:
    """Its SPTEs have other bits, to begin with."""
    older, newer = side("tdp@v6.12"), native("tdp")
    seeds = [one for one in programs("seeds") if one.config.paging == "tdp"]
    assert sum(conform(one, older, newer) is not None for one in seeds) > 10
