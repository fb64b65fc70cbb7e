# SPDX-License-Identifier: GPL-2.0-only
"""How scripts end: a status, and one line on stderr where something is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from difffuzz.errors import MissingTool, UsageError
from difffuzz.hunts.methods import METHODS, check
from difffuzz.script import end, need

SCRIPTS = Path(__file__).parents[1] / "scripts"


def failing(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


@pytest.mark.parametrize(
    ("main", "status", "line"),
    [
        (lambda: 1, 1, ""),
        (failing(UsageError("a: wrong")), 2, "it: a: wrong\n"),
        (failing(FileNotFoundError(2, "No such file", "x")), 2, "it: x: No such file\n"),
        (failing(MissingTool("no gcc", "install it")), 3, "it: no gcc: run 'install it'\n"),
        (failing(KeyboardInterrupt()), 130, "it: interrupted\n"),
    ],
)
def test_a_status_and_a_line(
    main: Callable[[], int], status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        end("it", main)
    assert ended.value.code == status
    assert capsys.readouterr().err == line


def test_an_optional_package_that_is_missing_is_named() -> None:
    need("json")
    with pytest.raises(MissingTool, match=r"^no_such_thing is not installed, so what: run '.*pip"):
        need("no_such_thing", "so what")


@pytest.mark.parametrize(
    ("package", "command"),
    [
        ("hypothesis", ["difffuzz.hunts.bench", "--methods", "hypothesis", "--no-picture"]),
        ("hypothesis", ["difffuzz.measure.bench", "--quick"]),
        ("coverage", ["difffuzz.measure.line_coverage", "1"]),
        ("matplotlib", ["difffuzz.hunts.bench", "--report"]),
        ("playwright", ["difffuzz.measure.look"]),
    ],
)
def test_without_an_optional_package_a_script_is_one_line_and_status_3(
    package: str, command: list[str], tmp_path: Path
) -> None:
    """The package is hidden as if it were not installed."""
    hide = (
        "import importlib.util as u, runpy, sys; real = u.find_spec; "
        f"u.find_spec = lambda name, *more: None if name == {package!r} else real(name, *more); "
        "module = sys.argv[1]; sys.argv = sys.argv[1:]; "
        "runpy.run_module(module, run_name='__main__', alter_sys=True)"
    )
    out = ["--out", str(tmp_path)] if "hunts" in command[0] else []
    done = subprocess.run(
        [sys.executable, "-c", hide, *command, *out], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert f"{package} is not installed" in done.stderr


def test_methods_that_need_nothing_have_nothing_to_check() -> None:
    for method in METHODS:
        check(method)


def test_scripts_only_call() -> None:
    """No Python stands in scripts/, and what calls a package is short."""
    assert list(SCRIPTS.rglob("*.py")) == []
    calls = [path for path in SCRIPTS.iterdir() if "python -m difffuzz." in path.read_text()]
    assert len(calls) == 20
    for path in calls:
        assert len(path.read_text().splitlines()) <= 10
