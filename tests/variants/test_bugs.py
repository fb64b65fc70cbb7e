# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue at work: a bug's program shows it on the patched sides, and on those only."""

from __future__ import annotations

import re

import pytest

from difffuzz.engine import lockstep
from difffuzz.oracle import ORACLES
from difffuzz.oracle.verdict import Verdict
from difffuzz.program import Program, normalise, parse
from difffuzz.sides import open_side
from difffuzz.variants import load
from difffuzz.variants.catalogue import Bug, catalogue

BUGS = catalogue()
SHOWN = [bug for bug in BUGS if bug.program]
BY_ID = {bug.id: bug for bug in BUGS}

# fmt: off
ALONE = (
    "18c841e1f411", "cf4a8693d97a", "088acd235266", "524a1e4e381f", "048f49809c52",
    "b64d740ea7dd", "9ffe9265375c", "1b2dc7360463", "8fc517267fb2", "e89505698c9f",
    "6e6ec5848574", "f082d86ea685", "d3e328f2cb01", "ec89e6438671", "87aa9ec939ec",
    "c060c72ffeb4", "ef057cbf825e", "b5b0977f4aa2", "152482580a1b", "e1359e2beb8b",
    "aad885e77496", "b3e6212dea2e", "0f38453cdb2e",
)
# fmt: on
"""The bugs of the project's list that were thought to need no second task."""
OWN = [bug.id for bug in BUGS if not re.fullmatch("[0-9a-f]{12}", bug.id)]

each_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)
each_shown = pytest.mark.parametrize("bug", SHOWN, ids=lambda bug: bug.id)


def run(program: Program, sides: tuple[str, str]) -> Verdict:
    """The verdict of lockstep on the two sides."""
    return lockstep.run(program, open_side(sides[0]), open_side(sides[1]))


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


@each_shown
def test_program_shows_the_bug(bug: Bug) -> None:
    divergences = run(program_of(bug), bug.sides()).divergences
    assert divergences
    assert divergences[0].oracle == bug.oracle


@each_shown
def test_program_is_quiet_without_the_bug(bug: Bug) -> None:
    assert run(program_of(bug), bug.plain_sides()).divergences == []


@pytest.mark.parametrize("name", ALONE)
def test_the_list_is_complete(name: str) -> None:
    """A bug that the model has is shown by its program, unless it takes a second task after all."""
    bug = BY_ID[name]
    assert bug.held or bug.concurrent or bug.program
