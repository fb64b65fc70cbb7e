# SPDX-License-Identifier: GPL-2.0-only
"""docs/coverage.md speaks of functions that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = re.compile(r"^\s*(?:def|class) (\w+)", re.MULTILINE)


def test_every_function_named_is_in_the_model() -> None:
    defined = {
        name
        for package in ("kvm", "machine")
        for path in (ROOT / "difffuzz" / package).glob("*.py")
        for name in DEFINITION.findall(path.read_text())
    }
    text = (ROOT / "docs" / "coverage.md").read_text()
    named = re.findall(r"`((?:\w+\.)?\w+)(?:\(\)`|`(?= *\())", text)
    named += re.findall(r"^(?:kvm|machine)/\w+\.py ([\w.]+)$", text, re.MULTILINE)
    assert len(named) > 70
    assert [name for name in named if name.split(".")[-1] not in defined] == []
