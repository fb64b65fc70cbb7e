# SPDX-License-Identifier: GPL-2.0-only
"""`doctor` looks at everything that is used, and says what is only wanted for more."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from difffuzz.cli import main
from difffuzz.commands import doctor

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def looked(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    status = main(["doctor", "--json"])
    return status, {one["name"]: one for one in json.loads(capsys.readouterr().out)}


def test_every_dependency_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    dependencies = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    names = {re.split(">=", one)[0] for one in dependencies}
    status, found = looked(capsys)
    assert status == 0
    assert names | {"python", "libFuzzer", "seeds", "disk"} <= found.keys()
    assert "structlog" in names
    assert found["seeds"]["detail"].startswith("1")
    assert "gcc builds" in found


def test_a_version_that_is_too_old(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "9.9" if name == "structlog" else real(name)
    )
    status, found = looked(capsys)
    assert status == 3
    assert found["structlog"]["detail"] == "9.9, 24 needed"
    assert sum(not one["ok"] and one["needed"] for one in found.values()) == 1


def test_what_is_wanted_for_more_is_absent_and_no_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "CORPUS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    status, found = looked(capsys)
    assert status == 0
    for name in ("seeds", "gcc builds", "clang-14"):
        assert (found[name]["ok"], found[name]["needed"]) == (False, False)
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("absent  ") for line in lines) == 3


def test_a_compiler_that_cannot_link_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gcc = tmp_path / "gcc"
    gcc.write_text("#!/bin/sh\necho no linker here >&2\nexit 1\n")
    gcc.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    _, found = looked(capsys)
    assert not found["gcc builds"]["ok"]
    assert "no linker here" in found["gcc builds"]["detail"]
