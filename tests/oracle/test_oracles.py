# SPDX-License-Identifier: GPL-2.0-only
"""Every oracle fires on a side that breaks its property, and on no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.oracle import ORACLES

from . import (
    broken_accesses,
    broken_books,
    broken_concurrent,
    broken_contents,
    broken_kernels,
    broken_pages,
    broken_sizes,
    broken_zaps,
)
from .broken import Broken, run_as_it_is, run_broken, signatures

TABLES: dict[str, tuple[Broken, ...]] = {
    "translation": broken_pages.TRANSLATION + broken_concurrent.TRANSLATION + broken_zaps.MMIO,
    "permission": broken_pages.PERMISSION,
    "level": broken_pages.LEVEL + broken_sizes.LEVEL,
    "stale-access": broken_accesses.STALE_ACCESS,
    "progress": broken_accesses.PROGRESS + broken_concurrent.PROGRESS,
    "linearizable": broken_concurrent.LINEARIZABLE,
    "dirty-log": broken_accesses.DIRTY_LOG + broken_sizes.DIRTY_LOG,
    "retry": broken_accesses.RETRY,
    "answers": broken_zaps.ANSWERS,
    "contents": broken_contents.CONTENTS,
    "emptied": broken_zaps.EMPTIED,
    "accounting": broken_books.ACCOUNTING,
    "leak": broken_books.LEAK,
    "lock": broken_kernels.LOCK,
    "rcu": broken_kernels.RCU,
    "uaf": broken_kernels.UAF,
    "warn": broken_kernels.WARN,
    "deadlock": broken_kernels.DEADLOCK,
    "crash": broken_kernels.CRASH,
}
ROWS = [case for table in TABLES.values() for case in table]

each_row = pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)


def test_every_oracle_has_a_table_of_its_own() -> None:
    # Those of guests with page tables have no model: see test_guest_oracles.py.
    assert list(TABLES) == [name for name in ORACLES if not name.startswith("guest-")]
    for oracle, table in TABLES.items():
        assert {case.expected.split(":")[0] for case in table} == {oracle}


def test_names_are_unique() -> None:
    assert len({case.name for case in ROWS}) == len(ROWS)


@each_row
def test_oracle_fires_on_the_broken_side(case: Broken, tmp_path: Path) -> None:
    found = signatures(run_broken(case, case.program, tmp_path))
    assert any(name.startswith(case.expected) for name in found), found


@each_row
def test_no_oracle_fires_on_the_model_as_it_is(case: Broken) -> None:
    assert run_as_it_is(case.program).divergences == []


@each_row
def test_no_oracle_fires_on_a_near_miss(case: Broken, tmp_path: Path) -> None:
    assert case.near != case.program
    verdict = run_broken(case, case.near, tmp_path)
    assert verdict.divergences == []


def test_a_signature_does_not_name_the_patch_file(tmp_path: Path) -> None:
    case = broken_pages.TRANSLATION[0]
    for place in ("one", "other/place"):
        (tmp_path / place).mkdir(parents=True)
        assert signatures(run_broken(case, case.program, tmp_path / place)) == [case.expected]
