# SPDX-License-Identifier: GPL-2.0-only
"""Programs that once showed something that is mended, or were false alarms: they stay quiet."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.engine import lockstep
from difffuzz.program import parse
from difffuzz.running.runner import Runner
from difffuzz.sides import open_side

REGRESSIONS = sorted(
    (Path(__file__).resolve().parents[2] / "corpus" / "regressions").glob("*.difffuzz")
)


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_regression_stays_quiet(path: Path) -> None:
    program = parse(path.read_text(), str(path))
    assert not Runner("legacy", "tdp")(program).divergences


def test_the_rule_of_stale_mmio_sptes_is_used() -> None:
    used = 0
    for path in REGRESSIONS:
        if path.stem.startswith("stale_mmio"):
            program = parse(path.read_text(), str(path))
            verdict = lockstep.run(program, open_side("legacy"), open_side("tdp"))
            used += verdict.allowed["stale-mmio-kept"]
    assert used
