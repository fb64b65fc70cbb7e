# SPDX-License-Identifier: GPL-2.0-only
"""`variant diff` as the judge of refactorings: the proposal of the seed, its like, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from difffuzz.cli import main
from difffuzz.program import Kind, parse
from difffuzz.program.phrases.parts import ON, vmm

ROOT = Path(__file__).resolve().parents[2]
REFACTORS = ROOT / "difffuzz" / "variants" / "refactors"
VARIED = Path(__file__).resolve().parents[1] / "variants" / "refactors"
PROPOSAL = str(REFACTORS / "seed-proposal.patch")
GIVEN = [
    str(ROOT / "corpus" / path)
    for path in (
        "seeds/parked_fault_nx_toggle.difffuzz",
        "concurrent/demand_paging_test_same_page.difffuzz",
    )
]


def diff(
    left: str, right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any]]:
    """Exit status and document of a small comparison."""
    few = ["--runs", "40", "--schedules", "10", "--explored", "3", "--plans", "100", "--seed", "4"]
    status = main(["variant", "diff", left, right, *GIVEN, *few, "--out", str(tmp_path), "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("base", PROPOSAL),
        (str(REFACTORS / "joined-handler.patch"), "base"),
        (PROPOSAL, f"{PROPOSAL}+{VARIED / 'inverted-ifs.patch'}"),
    ],
)
def test_no_functional_change(
    left: str, right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, document = diff(left, right, tmp_path, capsys)
    assert document["differences"] == []
    assert status == 0
    assert document["agreed"] == document["programs"] + document["schedules"]
    for kind in ("RET_PF", "spte", "lock", "request", "reference", "root"):
        assert document["equal"][kind] > 100
    for changed in document["changed"].values():
        # All but what so few programs do not reach: failed allocations, walks cut short.
        assert changed["ran"] >= 0.85 * changed["statements"] > 0


UNDER_NX = {"hugepage-adjust-left-out": {"nx_lpage_splits", "lock"}}
"""What differs only where the NX mitigation is on: what is left out there notes pages that were
split, and forgetting one takes a lock."""


@pytest.mark.parametrize(
    ("mistake", "shown_by", "whats"),
    [
        ("stale-check-before-the-lock", "unlock", {"unlock", "spte", "outcome", "rets", "tables"}),
        ("rcu-unlock-too-early", "outcome", {"outcome", "splat"}),
        (
            "invalid-root-test-dropped",
            "parked_ret",
            {"parked_ret", "rets", "spte", "outcome", "unlock"},
        ),
        ("hugepage-adjust-left-out", "tables", {"tables", "spte"}),
        ("wrong-lock-mode", "lock", {"outcome", "lock"}),
    ],
)
def test_a_mistake_is_reported_with_a_program(
    mistake: str,
    shown_by: str,
    whats: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = f"{PROPOSAL}+{VARIED / mistake}.patch"
    status, document = diff("base", broken, tmp_path, capsys)
    assert status == 1
    found = document["differences"]
    # Others are its consequences.
    nx = UNDER_NX.get(mistake, set())
    assert {shown_by} <= {one["what"] for one in found} - nx <= whats
    # The legacy MMU has its own tail; a root test that is gone concerns both.
    sides = {one["left"] for one in found}
    assert sides == ({"legacy", "tdp"} if mistake.startswith("invalid-root") else {"tdp"})
    for one in found:
        program = parse(Path(one["program"]).read_text())
        # A random schedule is another one for every other program: it shrinks less.
        assert len(program.ops) <= (8 if one["what"] in nx else 4)
        if one["what"] in nx:
            assert program.config.nx or vmm(Kind.NX, *ON) in program.ops
