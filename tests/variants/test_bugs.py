# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue at work: a bug's program shows it on the patched sides, and on those only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from difffuzz.engine import concurrent, lockstep
from difffuzz.oracle import ORACLES
from difffuzz.oracle.verdict import Verdict
from difffuzz.program import Program, normalise, parse
from difffuzz.sides import KERNELS as KERNEL_PATCHES
from difffuzz.sides import open_side
from difffuzz.variants import load
from difffuzz.variants.catalogue import DIRECTORY, Bug, catalogue

BUGS = catalogue()
SHOWN = [bug for bug in BUGS if bug.program]
RACED = [bug for bug in SHOWN if parse(bug.program, bug.id).schedule]
"""Their programs have a schedule that shows them."""
BY_ID = {bug.id: bug for bug in BUGS}

# fmt: off
LISTED = (
    "a955cad84cda", "18c841e1f411", "ba6e3fe25543", "4a42d848db95", "52ac8b358b0c",
    "edb298c663fc", "6d3085e4d89a", "d02c357e5bfa", "47b0c2e4c220", "cf4a8693d97a",
    "f5d16bb9be68", "80a3e4ae962d", "21a36ac6b6c7", "50a9ac25985c", "088acd235266",
    "524a1e4e381f", "7cca2d0b7e7d", "ed5e484b79e8", "a835429cda91", "048f49809c52",
    "33a3164161fc", "a889ea54b3da", "fcb93eb6d09d", "b64d740ea7dd", "9ffe9265375c",
    "1b2dc7360463", "d62007edf01f", "0df9dab891ff", "002c5f73c508", "8fc517267fb2",
    "e89505698c9f", "6e6ec5848574", "f082d86ea685", "d3e328f2cb01", "ec89e6438671",
    "3d679b7cb31f", "fb25ee778aae", "87aa9ec939ec", "c060c72ffeb4", "ef057cbf825e",
    "b5b0977f4aa2", "152482580a1b", "e1359e2beb8b", "ddfd1730fd82", "aad885e77496",
    "b3e6212dea2e", "0f38453cdb2e", "b59a87c1ba3c",
)
# fmt: on
"""The bugs of the project's list."""
# fmt: off
RACES = (
    "a955cad84cda", "ba6e3fe25543", "4a42d848db95", "52ac8b358b0c", "6d3085e4d89a",
    "d02c357e5bfa", "47b0c2e4c220", "f5d16bb9be68", "80a3e4ae962d", "21a36ac6b6c7",
    "50a9ac25985c", "7cca2d0b7e7d", "a835429cda91", "33a3164161fc",
    "a889ea54b3da", "fcb93eb6d09d", "d62007edf01f", "0df9dab891ff", "3d679b7cb31f",
    "fb25ee778aae", "b59a87c1ba3c", "e89505698c9f", "ec89e6438671",
    "edb298c663fc", "ed5e484b79e8", "ddfd1730fd82", "aad885e77496",
)
# fmt: on
"""Those that were thought to need one, or a parked fault."""
OWN = [bug.id for bug in BUGS if not re.fullmatch("[0-9a-f]{12}", bug.id)]

KERNELS = sorted(path.stem for path in KERNEL_PATCHES.glob("*.patch"))


def mended_patch(kernel: str) -> Path:
    """The patch that mends the bugs of that kernel, if it has one."""
    return KERNEL_PATCHES / "mended" / f"{kernel}.patch"


def each(pairs: list[tuple[Bug, str]]) -> pytest.MarkDecorator:
    """A test for each bug and kernel."""
    ids = [f"{bug.id}-{kernel}" for bug, kernel in pairs]
    return pytest.mark.parametrize(("bug", "kernel"), pairs, ids=ids)


HAD = [
    (bug, kernel)
    for bug in SHOWN
    for kernel, why in bug.not_on.items()
    if why.startswith("it has the bug")
]

each_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)
each_shown = pytest.mark.parametrize("bug", SHOWN, ids=lambda bug: bug.id)
each_expressed = pytest.mark.parametrize(
    "bug", [bug for bug in BUGS if not bug.held], ids=lambda bug: bug.id
)
each_on_a_kernel = each([(bug, kernel) for bug in BUGS for kernel in bug.kernels])
each_had = each(HAD)
each_mended = each([(bug, kernel) for bug, kernel in HAD if mended_patch(kernel).exists()])


def run(program: Program, sides: tuple[str, str]) -> Verdict:
    """The verdict on the two sides: of a concurrent run if the program has a schedule."""
    left, right = map(open_side, sides)
    if program.schedule:
        return concurrent.run(program, left, right)
    return lockstep.run(program, left, right)


def signatures(verdict: Verdict) -> set[str]:
    """What it shows."""
    return {one.signature for one in verdict.divergences}


def program_of(bug: Bug) -> Program:
    """The bug's litmus program."""
    return parse(bug.program, bug.id)


@each_bug
def test_facts_are_whole(bug: Bug) -> None:
    assert bug.oracle in ORACLES
    assert bug.why
    assert bug.version or bug.id in OWN
    assert re.fullmatch("[0-9a-f]{12}|own(-[a-z0-9]+)+", bug.id)


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.patch], ids=lambda bug: bug.id)
def test_patch_applies(bug: Bug) -> None:
    assert bug.patch is not None
    load([bug.patch])


@each_shown
def test_program_is_small_and_normalised(bug: Bug) -> None:
    program = program_of(bug)
    assert normalise(program) == program
    assert len(program.ops) <= 12
    assert len(program.schedule) <= 6


@each_shown
def test_program_shows_the_bug(bug: Bug) -> None:
    divergences = run(program_of(bug), bug.sides()).divergences
    assert divergences
    assert divergences[0].oracle == bug.oracle


@each_shown
def test_program_is_quiet_without_the_bug(bug: Bug) -> None:
    assert run(program_of(bug), bug.plain_sides()).divergences == []


def test_the_list_is_complete() -> None:
    assert set(LISTED) <= set(BY_ID)


@each_bug
def test_a_bug_that_the_model_has_is_shown_by_a_program(bug: Bug) -> None:
    assert bug.held != bool(bug.program or bug.programs)
    assert bool(bug.program) == bug.is_on("")


@pytest.mark.parametrize("name", RACES)
def test_program_shows_the_race_in_a_concurrent_run(name: str) -> None:
    program = program_of(BY_ID[name])
    left, right = map(open_side, BY_ID[name].sides())
    assert concurrent.run(program, left, right).divergences
    left, right = map(open_side, BY_ID[name].plain_sides())
    assert concurrent.run(program, left, right).divergences == []


@pytest.mark.parametrize("bug", RACED, ids=lambda bug: bug.id)
def test_race_is_none_without_its_schedule(bug: Bug) -> None:
    """Run to block, the threads do not get in each other's way."""
    program = program_of(bug)._replace(schedule=())
    assert concurrent.run(program, *map(open_side, bug.sides())).divergences == []


@each_on_a_kernel
def test_program_shows_the_bug_on_the_model_of_a_kernel(bug: Bug, kernel: str) -> None:
    program = parse(bug.program_on(kernel), bug.id)
    assert normalise(program) == program
    assert len(program.schedule) <= 6
    plain = signatures(run(program, bug.plain_sides(kernel)))
    assert plain == set(bug.meets.get(kernel, ()))
    assert signatures(run(program, bug.sides(kernel))) - plain


@pytest.mark.parametrize("kernel", KERNELS)
@each_expressed
def test_what_is_not_brought_back_in_a_kernel_has_a_reason(bug: Bug, kernel: str) -> None:
    assert (kernel in bug.kernels) != (kernel in bug.not_on)


@each_bug
def test_facts_about_kernels_are_whole(bug: Bug) -> None:
    named = {*bug.kernels, *bug.programs, *bug.not_on, *bug.meets} - {"base"}
    assert named <= set(KERNELS)
    has_it = {name for name, why in bug.not_on.items() if why.startswith("it has the bug")}
    assert set(bug.programs) <= {*bug.kernels, *has_it}
    assert not set(bug.kernels) & set(bug.not_on)


@pytest.mark.parametrize("kernel", KERNELS)
def test_patches_of_its_own_are_used_and_apply(kernel: str) -> None:
    own = sorted((DIRECTORY / kernel).glob("*"))
    assert own
    for path in own:
        bug = BY_ID[path.stem]
        assert path == bug.patch_on(kernel)
        load([KERNEL_PATCHES / f"{kernel}.patch", path])


@each_had
def test_a_kernel_that_has_a_bug_shows_it(bug: Bug, kernel: str) -> None:
    assert run(parse(bug.program_on(kernel), bug.id), bug.plain_sides(kernel)).divergences


@each_mended
def test_a_mended_kernel_does_not(bug: Bug, kernel: str) -> None:
    mended = mended_patch(kernel)
    left, right = (f"{side}+{mended}" for side in bug.plain_sides(kernel))
    assert run(parse(bug.program_on(kernel), bug.id), (left, right)).divergences == []
