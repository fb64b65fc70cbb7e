# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own code, Linux 6.12, and the model of that version."""

from __future__ import annotations

import random

import pytest

from difffuzz.engine import concurrent
from difffuzz.engine.conform import conform, conform_scheduled
from difffuzz.program import generate, parse
from difffuzz.sides import KvmFactory, open_side

from .kernel import built_newer, programs

MMUS = ("legacy", "tdp")
SAME_GFN = """difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x2 area=1 page=0x0
slot 0 as=1 gfn=0x0 pages=0x2 area=0 page=0x0
vcpu0: exec gfn=0x1
host0: munmap area=0 page=0x1 n=0x1
"""
"""The page that is unmapped is the other address space's, at the same gfn."""


def side(name: str) -> KvmFactory:
    """A side that runs on a model or on the kernel's own code."""
    found = open_side(name)
    assert isinstance(found, KvmFactory)
    return found


@pytest.mark.parametrize("mmu", MMUS)
def test_the_model_does_what_the_kernel_does(mmu: str) -> None:
    left, right = side(f"{mmu}@v6.12"), side(f"native:{built_newer()}:{mmu}")
    rng = random.Random(612)
    for program in programs("seeds", "regressions") + [generate(rng) for _ in range(150)]:
        if mmu == "legacy" or program.config.paging == "tdp":
            assert conform(program, left, right) is None, program


@pytest.mark.parametrize("mmu", MMUS)
def test_the_model_does_what_the_kernel_does_under_a_schedule(mmu: str) -> None:
    left, right = side(f"{mmu}@v6.12"), side(f"native:{built_newer()}:{mmu}")
    for seed, program in enumerate(programs("concurrent")):
        assert conform_scheduled(program, left, right, seed) is None, program


def test_the_base_is_another_kernel() -> None:
    """It faults in what is being invalidated; 6.12 retries before, and before it takes mmu_lock."""
    base, native = side("tdp"), side(f"native:{built_newer()}:tdp")
    seeds = [one for one in programs("seeds") if one.config.paging == "tdp"]
    found = [conform_scheduled(one, base, native, seed) for seed, one in enumerate(seeds)]
    assert sum(one is not None for one in found) > 10


@pytest.mark.parametrize("mmu", MMUS)
def test_a_retry_for_a_gfn_of_the_other_address_space_has_a_cause(mmu: str) -> None:
    native = side(f"native:{built_newer()}:{mmu}")
    program = parse(SAME_GFN)
    for first in range(20):
        for second in range(first + 1, first + 20):
            schedule = ((first, 4), (second, 0))
            found = concurrent.run(program._replace(schedule=schedule), native, native)
            assert found.divergences == []
