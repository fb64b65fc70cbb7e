# SPDX-License-Identifier: GPL-2.0-only
"""scripts/bootstrap: quick when nothing changed, one line when the machine is not able."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bootstrap(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = environment.pop("PATH", "/usr/bin:/bin")
    return subprocess.run(
        [directory / "scripts" / "bootstrap"],
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/bootstrap", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_with_nothing_to_do_no_interpreter_is_started() -> None:
    assert (ROOT / ".venv" / "difffuzz-stamp").exists(), "run the tests with scripts/test"
    done = bootstrap(ROOT, DIFFFUZZ_PYTHON="python3.99")
    assert done.returncode == 0
    assert done.stderr == ""


def test_no_python_is_one_line_and_status_3(checkout: Path) -> None:
    done = bootstrap(checkout, DIFFFUZZ_PYTHON="python3.99")
    assert done.returncode == 3
    assert done.stderr == (
        "difffuzz: python3.99 is missing: run 'apt-get install python3 python3-venv python3-pip'\n"
    )


def test_an_unsupported_python_is_one_line_and_status_3(checkout: Path) -> None:
    old = checkout / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.1\nexit 1\n')
    old.chmod(0o755)
    done = bootstrap(checkout, DIFFFUZZ_PYTHON=str(old))
    assert done.returncode == 3
    assert "CPython 3.11, 3.12 or 3.13 is needed" in done.stderr
    assert "is Python 3.9.1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_venv_for_a_user_names_the_command(checkout: Path) -> None:
    """python3 without ensurepip, as on a bare Debian, and no right to install packages."""
    bare = checkout / "python3"
    bare.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexit 0\n')
    user = checkout / "id"
    user.write_text("#!/bin/sh\necho 1000\n")
    for fake in (bare, user):
        fake.chmod(0o755)
    done = bootstrap(checkout, PATH=f"{checkout}:/usr/bin:/bin")
    assert done.returncode == 3
    assert done.stderr == (
        "difffuzz: python3-venv is missing: "
        "run 'sudo apt-get install -y python3-venv python3-pip'\n"
    )


def test_root_installs_venv_and_says_so_when_that_fails(checkout: Path) -> None:
    log = checkout / "log"
    for name, text in (
        ("python3", 'case "$2" in *ensurepip*) exit 1;; esac'),
        ("id", "echo 0"),
        ("apt-get", f'echo "$@" >>{log}; [ "$1" = update ]'),
    ):
        fake = checkout / name
        fake.write_text(f"#!/bin/sh\n{text}\n")
        fake.chmod(0o755)
    done = bootstrap(checkout, PATH=f"{checkout}:/usr/bin:/bin")
    assert done.returncode == 3
    assert log.read_text() == "update -qq\ninstall -y python3-venv python3-pip -qq\n"
    assert done.stderr.splitlines()[-1] == (
        "difffuzz: python3-venv could not be installed: "
        "run 'apt-get install -y python3-venv python3-pip' and look at its messages"
    )
