# SPDX-License-Identifier: GPL-2.0-only
"""Workers that are killed, and a folder that goes away: one line, status 3, nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.commands.screen import FuzzProgress
from difffuzz.fuzz.stats import Summary
from difffuzz.program import parse
from tests.fuzz.planted import plant_at_fault

Meanwhile = Callable[[Callable[[Summary], None]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """meanwhile(what) is called with the figures, again and again, while a run goes on."""

    def arm(what: Callable[[Summary], None]) -> None:
        real = FuzzProgress.__call__

        def call(self: FuzzProgress, summary: Summary) -> None:
            real(self, summary)
            what(summary)

        monkeypatch.setattr(FuzzProgress, "__call__", call)

    return arm


@pytest.fixture
def right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return f"tdp+{plant_at_fault(tmp_path, 'kvm.no_such_field += 1')}"


def workers() -> list[int]:
    """Processes of this one's that fuzz."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                command = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            if b"difffuzz.fuzz.worker" in command:
                found.append(int(child))
    return found


def kill_all(summary: Summary) -> None:
    """Once there is something to lose."""
    if summary.findings:
        for pid in workers():
            os.kill(pid, signal.SIGKILL)


def test_a_worker_that_is_killed_three_times(
    right: str, meanwhile: Meanwhile, capsys: pytest.CaptureFixture[str]
) -> None:
    meanwhile(kill_all)
    assert main(["fuzz", "--seed", "1", "--right", right, "--json"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    *found, line = said.err.splitlines()
    assert line.startswith("difffuzz: worker-0 was killed by SIGKILL, after 2 restarts")
    assert line.endswith("run 'less out/work/worker-0.log'")
    assert found
    assert all(one.startswith("fuzz: finding crash:tdp:") for one in found)
    kept = {Path(one.split(": ")[-1]) for one in found}
    assert kept <= set(Path("out/findings").glob("*.difffuzz"))
    for path in Path("out/findings").iterdir():
        assert "process-" not in path.name
        assert parse(path.read_text()).ops
    assert not workers()


def test_one_that_is_killed_once_is_started_again(
    right: str, meanwhile: Meanwhile, capsys: pytest.CaptureFixture[str]
) -> None:
    def kill_once(summary: Summary) -> None:
        if summary.restarts:
            os.kill(os.getpid(), signal.SIGINT)
        else:
            kill_all(summary)

    meanwhile(kill_once)
    assert main(["fuzz", "--seed", "1", "--right", right]) == 1
    said = capsys.readouterr()
    assert "interrupted" in said.out
    assert said.out.count("out/findings/crash-tdp") == said.err.count("fuzz: finding crash:tdp") > 0
    assert not workers()


def test_a_working_directory_that_is_removed_meanwhile(
    right: str,
    meanwhile: Meanwhile,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def remove(summary: Summary) -> None:
        if summary.executions:
            shutil.rmtree(here, ignore_errors=True)

    meanwhile(remove)
    assert main(["fuzz", "--seed", "1", "--right", right]) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("difffuzz: out/work was removed while the run used it")
    assert not workers()
