# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz native fetch`, `doctor` and `build` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.native.run import PACKAGES


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test looks into the user's cache."""
    monkeypatch.setenv("DIFFFUZZ_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["fetch", "newest"], 2, "series 'newest': expected one as 6.1, 6.12, 7.2"),
        (["build"], 2, "no kernel tree: run 'difffuzz native fetch', or name one with --tree"),
        (["build", "--tree", "/none"], 2, "/none: no such folder"),
        (["build", "--patch"], 2, "requires an argument"),
    ],
)
def test_wrong_use(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, message: str
) -> None:
    assert main(["native", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_fetch_prints_the_path(capsys: pytest.CaptureFixture[str], own_cache: Path) -> None:
    tree = own_cache / "sources/linux-source-6.12"
    tree.mkdir(parents=True)
    assert main(["native", "fetch", "6.12"]) == 0
    assert capsys.readouterr().out == f"{tree}\n"


def test_doctor_without_tools(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["native", "doctor", "--json"]) == 3
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    for tool in ("gcc", "make", "flex", "bison", "bc", "patch"):
        assert found[tool]["state"] == "MISSING"
        assert found[tool]["command"].endswith(f"apt-get install {PACKAGES[tool]}")
    assert found["clang-14"]["state"] == "absent"


def test_doctor_as_a_table(capsys: pytest.CaptureFixture[str], own_cache: Path) -> None:
    main(["native", "doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("absent   source")
    assert lines[-1].endswith("run 'difffuzz native fetch'")
