# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own code, Linux 7.2, and the model of that version."""

from __future__ import annotations

import random

import pytest

from difffuzz.commands.comparing import variant_of
from difffuzz.engine.conform import conform, conform_scheduled
from difffuzz.program import generate
from difffuzz.sides import KvmFactory, open_side

from .kernel import built_newer, programs

MMUS = ("legacy", "tdp")


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


def test_the_model_of_6_12_is_another_kernel() -> None:
    """Its SPTEs have other bits, to begin with."""
    older, newer = side("tdp@v6.12"), native("tdp")
    seeds = [one for one in programs("seeds") if one.config.paging == "tdp"]
    assert sum(conform(one, older, newer) is not None for one in seeds) > 10
