# SPDX-License-Identifier: GPL-2.0-only
"""docs/oracles.md says what the code says: every property, every rule, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from difffuzz.oracle import ORACLES
from difffuzz.oracle.allowed import ALLOWED

PAGE = (Path(__file__).parents[2] / "docs" / "oracles.md").read_text(encoding="utf-8")


def rows(head: str) -> dict[str, list[str]]:
    """First cell -> the others, of the table with this head."""
    found = {}
    for line in PAGE[PAGE.index(head) :].splitlines()[2:]:
        if not line.startswith("|"):
            break
        name, *others = (cell.strip() for cell in line.strip("|").split(" | "))
        found[name] = others
    return found


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("`", "")).strip()


PROPERTIES = rows("| oracle | property |")
RULES = rows("| rule | oracle | reason | evidence |")


def test_the_page_has_all_of_them_and_no_others() -> None:
    assert PROPERTIES.keys() == ORACLES.keys()
    assert RULES.keys() == ALLOWED.keys()


@pytest.mark.parametrize("name", ORACLES)
def test_a_property(name: str) -> None:
    assert plain(PROPERTIES[name][0]) == plain(ORACLES[name])


@pytest.mark.parametrize("name", ALLOWED)
def test_a_rule(name: str) -> None:
    rule = ALLOWED[name]
    assert [*map(plain, RULES[name])] == [*map(plain, (rule.oracle, rule.reason, rule.evidence))]
