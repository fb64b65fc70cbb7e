# SPDX-License-Identifier: GPL-2.0-only
"""The shell completes commands, options, and the words that only difffuzz knows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from difffuzz.cli import COMPLETES, main
from difffuzz.native.cache import LIBRARY
from difffuzz.variants.catalogue import catalogue


def completed(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What bash offers for the last word of a line."""
    words = line.split(" ")
    monkeypatch.setenv(COMPLETES, "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "\n".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert main([]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("difffuzz smo", ["smoke"]),
        ("difffuzz findings ret", ["retest"]),
        ("difffuzz fuzz --basel", ["--baseline"]),
        ("difffuzz fuzz --left spe", ["spec"]),
        ("difffuzz fuzz --right tdp", ["tdp", "tdp@v6.1", "tdp@v6.12", "tdp@v7.2"]),
        ("difffuzz replay --left native:af", ["native:after:legacy", "native:after:tdp"]),
        ("difffuzz fuzz --left tdp@v6.12+386", ["tdp@v6.12+386d69f9f29b"]),
        ("difffuzz fuzz --mode con", ["concurrent"]),
        ("difffuzz explain --mode port", []),
        ("difffuzz bugs hunt 386", ["386d69f9f29b"]),
        ("difffuzz bugs hunt --kernel v6.12", ["v6.12"]),
    ],
)
def test_what_is_offered(
    line: str,
    offered: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    library = tmp_path / "native" / "builds" / "after" / LIBRARY
    library.parent.mkdir(parents=True)
    library.touch()
    monkeypatch.setenv("DIFFFUZZ_CACHE", str(tmp_path))
    assert completed(line, capsys, monkeypatch) == offered


def test_every_bug_is_offered_to_show(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = completed("difffuzz bugs show ", capsys, monkeypatch)
    assert found == [bug.id for bug in catalogue()]


def test_a_cache_that_cannot_be_is_no_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFFUZZ_CACHE", "/no such: place")
    assert completed("difffuzz fuzz --left leg", capsys, monkeypatch)[0] == "legacy"


@pytest.mark.parametrize("asked", ["nonsense", "complete_ksh"])
def test_a_shell_that_asks_wrongly(
    asked: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMPLETES, asked)
    assert main([]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def run(shell: str, line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a line in a shell that finds difffuzz on its PATH; `folder` is its home."""
    here = str(Path(sys.executable).parent)
    environment = {"PATH": f"{here}:/usr/bin:/bin", "HOME": str(folder)}
    # The shell is found by looking at the processes above: `:` keeps it there until the end.
    return subprocess.run(
        [shutil.which(shell) or shell, "-c", f"{line}; status=$?; :; exit $status"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_bash_itself(tmp_path: Path) -> None:
    done = run(
        "bash",
        'eval "$(difffuzz --show-completion)"; COMP_WORDS=(difffuzz native doc); COMP_CWORD=2; '
        "_difffuzz_completion difffuzz; echo ${COMPREPLY[*]}; complete -p difffuzz",
        tmp_path,
    )
    assert done.stdout.split()[0] == "doctor"
    assert done.stdout.endswith("-F _difffuzz_completion difffuzz\n")
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_gets_it_installed(tmp_path: Path) -> None:
    assert run("bash", "difffuzz --install-completion", tmp_path).returncode == 0
    lines = "\n".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "complete -o default -F _difffuzz_completion difffuzz" in lines
    assert sorted(os.listdir(tmp_path)) == [".bash_completions", ".bashrc"]


@pytest.mark.parametrize("option", ["--show-completion", "--install-completion"])
def test_a_shell_that_is_not_known(option: str, tmp_path: Path) -> None:
    done = run("sh", f"difffuzz {option}", tmp_path)
    assert done.returncode == 3
    assert "not supported" in done.stdout + done.stderr
    assert os.listdir(tmp_path) == []
