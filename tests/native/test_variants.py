# SPDX-License-Identifier: GPL-2.0-only
"""Programs that are almost a given one, made and played by the library."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from difffuzz.engine.variants import COUNT, Variants, can_vary, variants_of
from difffuzz.fuzz.mutation import VARIANT
from difffuzz.fuzz.options import FuzzOptions
from difffuzz.fuzz.parent import fuzz
from difffuzz.native.abi.limits import VARIANTS_KEPT
from difffuzz.program import Program, decode, encode, generate, parse, render
from difffuzz.program.limits import FEATURES
from difffuzz.program.normalise import normalise
from difffuzz.running.runner import Runner
from difffuzz.sides import NativeFactory, open_side

from .kernel import built
from .test_kernel_side import kernel

STEPS = 600_000
UNTOLD = (False, False)


def made() -> Variants:
    """Of the tests' build."""
    return Variants(kernel("legacy"), kernel("tdp"))


def generated(seed: int, count: int) -> Iterator[Program]:
    """Programs that can be varied, and that both MMUs can run."""
    rng = random.Random(seed)
    while count:
        one = generate(rng)
        if one.config.paging == "tdp" and can_vary(one):
            count -= 1
            yield one


def test_variants_are_programs_like_any_other() -> None:
    variants = made()
    found = [near for one in generated(5, 60) for near in variants.near(one, STEPS, UNTOLD)]
    assert len(found) > 60
    assert variants.played > 10 * COUNT
    for one in found:
        assert normalise(one) is one
        assert parse(render(one)) == one
        assert decode(encode(one)) == one


def test_variants_take_operations_of_programs_before() -> None:
    first, second = (
        parse(f"difffuzz program v1\nslot 0 gfn=0 pages=0x400 area=1\nconfig vcpus={vcpus}\n{text}")
        for vcpus, text in ((3, "vcpu2: exec gfn=0x77\nhost1: munmap area=1 page=0x77 n=1\n"),
                            (1, "vcpu0: read gfn=0\n"))
    )  # fmt: skip
    variants = made()
    alone = {op for near in variants.near(second, STEPS, UNTOLD) for op in near.ops}
    variants = made()
    variants.near(first, STEPS, UNTOLD)
    beside = {op for near in variants.near(second, STEPS, UNTOLD) for op in near.ops}
    taken = {op for op in beside - alone if 0x77 in op.args}
    assert {op.kind.name for op in taken} & {"EXEC", "MUNMAP"}
    assert all(op.thread == 0 for op in taken if op.kind.name == "EXEC")  # there is one vCPU


def test_what_takes_long_has_fewer_variants() -> None:
    quick = parse("difffuzz program v1\nslot 0 gfn=0 pages=8 area=1\nvcpu0: read gfn=0\n")
    slow = parse(
        "difffuzz program v1\nslot 0 gfn=0 pages=0x40000 area=1\n"
        + "vcpu0: write gfn=0\nvmm: zap_gfn_range gfn=0 n=0x200\n" * 20
    )
    variants = made()
    variants.known(set(range(FEATURES)))
    played = []
    for program in (quick, slow):
        before = variants.played
        for _ in range(8):  # until no place of the code is new
            variants.near(program, STEPS, UNTOLD)
        variants.near(program, STEPS, UNTOLD)
        played.append(variants.played - before)
    assert played[0] > 2 * played[1]


def test_a_host_that_errs_has_none() -> None:
    program = parse("difffuzz program v1\nconfig host_errs=on\nvcpu0: read gfn=0\n")
    assert not can_vary(program)


def test_the_same_program_has_the_same_variants() -> None:
    program = next(generated(3, 1))
    first = made().near(program, STEPS, UNTOLD)
    assert first
    assert made().near(program, STEPS, UNTOLD) == first


def test_what_is_known_is_not_kept() -> None:
    program = next(generated(3, 1))
    variants = made()
    kept = [len(variants.near(program, STEPS, UNTOLD)) for _ in range(12)]
    assert kept[0] == VARIANTS_KEPT  # each call keeps so many, at most
    assert kept[-1] == 0


def test_kept_variants_reach_what_their_program_does_not() -> None:
    runner = Runner(f"native:{built()}:legacy", f"native:{built()}:tdp", "lockstep")
    assert runner.variants is not None
    kept = new = 0
    for program in generated(8, 5):
        before = runner(program).features
        runner.variants.known(before)
        for near in runner.near(program):
            kept += 1
            new += bool(runner(near).features - before)
    assert kept >= 10
    assert new >= kept / 3  # the others: places of the code, or what no oracle compares


def test_where_nothing_is_new_what_is_suspicious_is_kept() -> None:
    runner = Runner(f"native:{built()}:legacy", f"native:{built()}:tdp", "lockstep")
    assert runner.variants is not None
    assert runner.fast is not None
    runner.variants.known(set(range(FEATURES)))
    found = [near for one in generated(9, 60) for near in runner.near(one)]
    assert found  # of Linux 6.1 as it is: docs/findings.md
    verdicts = [runner(near) for near in found]
    assert sum(runner.fast.reasons.values()) > 0
    assert any(verdict.divergences or verdict.allowed for verdict in verdicts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vmm: vcpu_create\nvcpu0: read gfn=0\n",
        "vmm: sync\nvcpu0: read gfn=0\nvmm: zap_gfn_range gfn=0 n=8\n",
        "vcpu0: read gfn=0\n" * 65,
    ],
)
def test_some_programs_have_none(text: str) -> None:
    program = parse(f"difffuzz program v1\nslot 0 gfn=0 pages=8 area=1\n{text}")
    assert not can_vary(program)
    assert made().near(program, STEPS, UNTOLD) == []


def test_sides_of_two_builds_have_none() -> None:
    assert variants_of(open_side("legacy"), open_side("tdp")) is None
    native = open_side(f"native:{built()}:tdp")
    assert isinstance(native, NativeFactory)
    assert variants_of(native, open_side("tdp")) is None
    assert variants_of(native, native) is not None


def test_fuzzing_plays_them_and_is_repeatable(tmp_path: Path) -> None:
    def run(name: str) -> tuple[int, int, int]:
        left, right = f"native:{built()}:legacy", f"native:{built()}:tdp"
        options = FuzzOptions(left, right, "lockstep", runs=200, seed=1, out=tmp_path / name)
        found = fuzz(options)
        return found.variants, found.coverage, found.operators[VARIANT].inputs

    first = run("one")
    assert first[0] > 10 * COUNT
    assert first[2] > 10
    assert run("two") == first
