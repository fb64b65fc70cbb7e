# SPDX-License-Identifier: GPL-2.0-only
"""The documents name what the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.oracle import ORACLES
from difffuzz.oracle.allowed import ALLOWED
from difffuzz.variants.catalogue import catalogue

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", [*ORACLES, *ALLOWED])
def test_every_oracle_and_rule_is_documented(name: str) -> None:
    assert f"| {name} |" in (ROOT / "docs/oracles.md").read_text()


def test_it_is_said_of_every_oracle_where_it_holds() -> None:
    text = (ROOT / "docs/oracles.md").read_text()
    table = text.split("## Where each holds")[1].split("## Differences")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|")][2:]
    named = [name.strip() for row in rows for name in row[0].split(",")]
    assert sorted(named) == sorted(ORACLES)
    assert all(len(row) == 4 and all(cell.strip() for cell in row) for row in rows)


def test_mended_bugs_are_in_the_catalogue() -> None:
    text = (ROOT / "docs/model.md").read_text().split("## Bugs of that kernel")[1]
    known = {bug.id for bug in catalogue()}
    named = {word for word in text.split("`")[1::2] if word.startswith("own-")}
    assert named
    assert named <= known


def test_packages_are_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for package in (ROOT / "difffuzz").iterdir():
        if (package / "__init__.py").exists():
            assert f"`{package.name}/`" in text
