# SPDX-License-Identifier: GPL-2.0-only
"""The pipelines that are committed are well formed, and run what is there with options that are."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from difffuzz.cli import app

ROOT = Path(__file__).resolve().parents[2]
PIPELINES = {
    ".github/workflows/smoke.yml": ("vendor.github-workflows",),
    ".gitlab-ci.yml": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}
OF_THE_IMAGE = ("apt-get",)


def read(name: str) -> dict[str, Any]:
    document = YAML(typ="safe").load(ROOT / name)
    assert isinstance(document, dict)
    return document


def commands(name: str) -> Iterator[list[str]]:
    """The words of each command that a pipeline runs."""
    document = read(name)
    if name == ".gitlab-ci.yml":
        lines = [line for part in document.values() for line in part.get("script", [])]
        lines += document["default"]["before_script"]
    else:
        steps = [step for job in document["jobs"].values() for step in job["steps"]]
        lines = [step["run"] for step in steps if "run" in step]
    for line in lines:
        for command in line.split("&&"):
            yield shlex.split(command)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_what_its_host_reads(name: str) -> None:
    """By the schema that check-jsonschema brings along; nothing is fetched."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *PIPELINES[name]]
    done = subprocess.run([*command, ROOT / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_runs_what_is_there(name: str) -> None:
    found = list(commands(name))
    assert [".ci/run"] in found
    for words in found:
        if words[0] not in OF_THE_IMAGE:
            assert os.access(ROOT / words[0], os.X_OK), words


@pytest.mark.parametrize("name", PIPELINES)
def test_the_options_of_smoke_are_known_and_its_reports_kept(name: str) -> None:
    (words,) = (one for one in commands(name) if one[:2] == ["scripts/difffuzz", "smoke"])
    smoke = get_command(app).commands["smoke"]  # type: ignore[attr-defined]
    known = {option for parameter in smoke.params for option in parameter.opts}
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert set(options) <= known
    text = (ROOT / name).read_text().replace(shlex.join(words), "")
    for option in ("--junit", "--sarif"):
        assert options[option] in text
    assert f"{options['--out']}/findings" in text
