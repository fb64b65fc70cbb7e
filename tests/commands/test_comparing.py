# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz variant diff` and `difffuzz native conform`: two sides that should be the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from difffuzz.cli import main
from difffuzz.commands.comparing import read_programs
from difffuzz.program import parse

from ..native.kernel import built

ROOT = Path(__file__).resolve().parents[2]
LATE = str(ROOT / "corpus" / "regressions" / "late_read_fault.difffuzz")
PATCH = str(ROOT / "difffuzz" / "variants" / "bugs" / "386d69f9f29b.patch")
FEW = ["--runs", "5", "--schedules", "6"]


def diff(
    left: str, right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, dict[str, Any]]:
    """Exit status and document of a comparison."""
    words = [left, right, LATE, *FEW, *more]
    status = main(["variant", "diff", *words, "--out", str(tmp_path), "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_variant_is_like_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = diff("base", "base", tmp_path, capsys)
    assert status == 0
    assert document["differences"] == []
    assert document["agreed"] == document["programs"] + document["schedules"]
    assert document["schedules"]
    assert not list(tmp_path.iterdir())


def test_another_answer_is_a_difference_with_a_short_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, document = diff("base", PATCH, tmp_path, capsys)
    assert status == 1
    found = document["differences"]
    whats = {one["what"] for one in found if one["schedule"] is None}
    assert whats == {"parked_ret"}
    program = parse(Path(found[0]["program"]).read_text())
    assert len(program.ops) <= 4


def test_a_baseline_explains_a_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = diff("base", PATCH, tmp_path, capsys)[1]["differences"]
    whats = sorted({f"difference:{one['what']}" for one in found})
    known = tmp_path / "known.toml"
    known.write_text("".join(f"[[known]]\nsignature = '{what}'\n" for what in whats))
    status, document = diff("base", PATCH, tmp_path, capsys, "--baseline", str(known))
    assert (status, document["differences"]) == (0, [])
    assert document["explained"] == whats
    known.write_text("[[known]]\nsignature = 'difference:another'\n")
    assert diff("base", PATCH, tmp_path, capsys, "--baseline", str(known))[0] == 1


def test_conform_asks_the_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = built()
    status = main(
        ["native", "conform", LATE, *FEW, "--name", name, "--out", str(tmp_path), "--json"]
    )
    document = json.loads(capsys.readouterr().out)
    assert status == 0
    assert document["version"].startswith("6.1.")
    assert document["model"] == "v6.1"
    assert document["disagreed"] == []
    # The base is another kernel: it flushes where 6.1 does not.
    status = main(
        ["native", "conform", LATE, *FEW, "--name", name, "--model", "", "--out", str(tmp_path)]
    )
    assert status == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["variant", "diff", "base", "v9"], "no variant of the model for kernel 'v9': v6.1"),
        (["variant", "diff", "base", "nothing.patch"], "nothing.patch"),
        (["variant", "diff", "base", "v6.1", "absent.difffuzz"], "absent.difffuzz: No such file"),
        (["native", "conform", "--name", "nobody"], "no native build 'nobody'"),
    ],
)
def test_bad_input_gets_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


def test_without_files_all_that_a_model_can_run_are_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    files = (ROOT / "corpus").rglob("*.difffuzz")
    shipped = [path for path in files if path.parent.name != "guests"]
    assert len(read_programs(None)) == len(shipped) > 200
