# SPDX-License-Identifier: GPL-2.0-only
"""A baseline explains what is known: by signature, by the same operations, by the tree before."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.program import parse
from difffuzz.triage.baseline import Baseline, Known, baseline_text, read_baseline
from difffuzz.triage.record import State, plain_signature
from tests.triage.samples import BUG, OPS, finding_text, record

SIGNATURE = "progress:tdp:read:rets-1,1"
PROGRAM = parse(f"difffuzz program v1\nconfig seq_bias=1\n{OPS}", "sample")
OTHER = parse(f"difffuzz program v1\nconfig seq_bias=2\n{OPS}", "sample")


def test_a_known_signature_is_explained_whatever_the_program() -> None:
    baseline = Baseline([Known(signature=SIGNATURE)])
    assert baseline.explains(SIGNATURE, OTHER)
    assert not baseline.explains("leak:tdp:end:pages", OTHER)
    assert baseline.explained == {SIGNATURE}


def test_the_name_of_a_build_does_not_matter() -> None:
    assert plain_signature("retry:native:mine:tdp:read:R2") == "retry:native:tdp:read:R2"
    baseline = Baseline([Known(signature="retry:native:before:tdp:read:R2")])
    assert baseline.explains("retry:native:after:tdp:read:R2", PROGRAM)
    assert not baseline.explains("retry:native:after:legacy:read:R2", PROGRAM)


def test_the_same_operations_are_the_same_bug() -> None:
    baseline = Baseline([Known(signature=SIGNATURE, program=finding_text())])
    assert baseline.explains("stale-access:tdp:read:freed", PROGRAM)
    assert not baseline.explains("stale-access:tdp:read:freed", OTHER)


def test_the_tree_before_explains_what_it_shows_too() -> None:
    before = Baseline(before=("legacy", f"tdp+{BUG}", "lockstep"))
    assert before.explains(SIGNATURE, PROGRAM)
    assert not before.explains("leak:tdp:end:pages", PROGRAM)
    assert not Baseline(before=("legacy", "tdp", "lockstep")).explains(SIGNATURE, PROGRAM)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    hidden = record(finding_text("uaf:tdp:read:freed"))
    hidden.state = State.EMBARGOED
    path = tmp_path / "known.toml"
    path.write_text(baseline_text([record(), hidden]))
    [known] = read_baseline(path)
    assert known.signature == SIGNATURE
    assert parse(known.program, "known") == PROGRAM


WRONG = {
    "[[known]]\nsignature = 3\n": "signature",
    "[[known]]\n": "signature",
    "[[known]]\nsignature = 'x'\nprogramme = ''\n": "programme",
    "[[known]]\nsignature = 'x'\nprogram = 'nonsense'\n": "program x:1",
    "known = " + "[" * 5000: ".",
    "what is this": ".",
    "known = 9" + "9" * 5000: ".",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_no_baseline_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "known.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=WRONG[text]) as caught:
        read_baseline(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
