# SPDX-License-Identifier: GPL-2.0-only
"""Bugs put in by hand: each applies, is shown by its program, and by nothing without its patch."""

from __future__ import annotations

import pytest

from difffuzz.oracle import ORACLES
from difffuzz.variants.catalogue import PLANTED, Bug, catalogue, find
from tests.variants.test_bugs import program_of, run

BUGS = catalogue(PLANTED)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)
def test_a_planted_bug_is_shown_by_its_program(bug: Bug) -> None:
    assert find(bug.id) == bug
    assert bug.oracle in ORACLES
    program = program_of(bug)
    assert bug.concurrent == bool(program.schedule)
    assert run(program, bug.plain_sides()).divergences == []
    assert run(program, bug.sides()).divergences[0].oracle == bug.oracle
