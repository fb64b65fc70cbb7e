# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own code, played, against a model: the filter agrees with the engine."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from difffuzz.engine.fast_lockstep import FastLockstep
from difffuzz.engine.fast_mixed import FastMixed
from difffuzz.engine.lockstep import run
from difffuzz.engine.lockstep_filter import lockstep_filter
from difffuzz.program import Program, generate, parse
from difffuzz.sched.core import STEP_LIMIT
from difffuzz.sides import KvmFactory, open_side
from difffuzz.variants.catalogue import find

from .kernel import built
from .test_fast import ONE_SIDE_PARKS


def opened(name: str) -> KvmFactory:
    """A side with an MMU; BUILD stands for the tests' build."""
    side = open_side(name.replace("BUILD", built()))
    assert isinstance(side, KvmFactory)
    return side


def generated(seed: int, count: int) -> Iterator[Program]:
    rng = random.Random(seed)
    for _ in range(count):
        yield generate(rng)


PAIRS = (
    ("native:BUILD:tdp", "tdp@v6.1"),
    ("legacy@v6.1", "native:BUILD:legacy"),
    ("native:BUILD:legacy", "tdp@v6.1"),
)


@pytest.mark.parametrize("names", PAIRS)
def test_clean_is_what_the_engine_has_nothing_against(names: tuple[str, str]) -> None:
    left, right = map(opened, names)
    check = FastMixed(left, right)
    clean = 0
    for program in generated(3, 25):
        verdict = check.run(program, STEP_LIMIT)
        judged = run(program, left, right)
        if verdict is None:
            continue
        clean += 1
        assert not judged.divergences
        assert verdict.allowed <= judged.allowed  # C does not tell which rules it used
        assert verdict.features == judged.features
        assert verdict.steps == judged.steps
        assert verdict.operations == judged.operations
    assert clean >= 20, dict(check.reasons)


@pytest.mark.parametrize(
    ("bug", "path"),
    [("edb298c663fc", "tdp"), ("0f38453cdb2e", "legacy"), ("048f49809c52", "tdp")],
)
def test_a_bug_of_the_model_is_suspicious(bug: str, path: str) -> None:
    row = find(bug)
    left, right = opened(f"native:BUILD:{path}"), opened(f"{path}@v6.1+{bug}")
    program = parse(row.program_on("v6.1"))
    assert run(program, left, right).divergences
    assert FastMixed(left, right).run(program, STEP_LIMIT) is None
    assert FastMixed(right, left).run(program, STEP_LIMIT) is None
    assert FastMixed(left, opened(f"{path}@v6.1")).run(program, STEP_LIMIT) is not None


def test_a_fault_that_parks_on_one_side_only_ends_at_once_on_both() -> None:
    program = parse(ONE_SIDE_PARKS)
    left, right = opened("native:BUILD:legacy"), opened("tdp@v6.1")
    verdict = FastMixed(left, right).run(program, STEP_LIMIT)
    assert verdict is not None
    judged = run(program, left, right)
    assert verdict.allowed["parked-on-one-side"] == judged.allowed["parked-on-one-side"] == 1
    assert verdict.features == judged.features


def test_which_filter_there_is() -> None:
    def kind(left: str, right: str) -> type[object]:
        names = (one.replace("BUILD", built()) for one in (left, right))
        return type(lockstep_filter(*map(open_side, names)))

    assert kind("native:BUILD:tdp", "native:BUILD:legacy") is FastLockstep
    assert kind("native:BUILD:tdp", "tdp") is FastMixed
    assert kind("legacy", "native:BUILD:tdp") is FastMixed
    assert kind("legacy", "tdp") is type(None)
    assert kind("spec", "native:BUILD:tdp") is type(None)
