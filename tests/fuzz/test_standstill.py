# SPDX-License-Identifier: GPL-2.0-only
"""A worker that dies keeps its program; one that is stuck is no success, however few findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.files.notes import notes_of
from difffuzz.fuzz import parent, standstill
from difffuzz.fuzz.current import CurrentInput, read_current
from difffuzz.fuzz.options import FuzzOptions
from difffuzz.fuzz.standstill import BUSY_SECONDS, did_nothing_else, stands_still
from difffuzz.fuzz.stats import WorkerStats
from difffuzz.program import parse

from .planted import plant_at_fault

DIES = """import os, signal
    try: os.close(os.open({flag!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError: pass
    else:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)"""
"""Once."""
STUCK = (
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGVTALRM, signal.SIGTERM])\n"
    "    while fault.gfn >= 0: pass"
)


@pytest.fixture(autouse=True)
def _nothing_is_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "SHRINK_GRACE_SECONDS", 0.0)


def test_the_input_outlives_its_process(tmp_path: Path) -> None:
    path = tmp_path / "current"
    assert read_current(path) is None
    current = CurrentInput(path)
    assert read_current(path) is None
    current.note(b"a long one")
    current.note(b"short")
    assert read_current(path) == b"short"


def test_a_worker_that_dies_of_a_signal_keeps_its_program(tmp_path: Path) -> None:
    right = f"tdp+{plant_at_fault(tmp_path, DIES.format(flag=str(tmp_path / 'flag')))}"
    summary = parent.fuzz(FuzzOptions(right=right, runs=100, seed=1, out=tmp_path / "out"))
    signature = f"crash:legacy/{right}:program:process-crash"
    found = [one for one in summary.findings if one.signature == signature]
    assert len(found) == 1, [one.signature for one in summary.findings]
    assert (summary.restarts, summary.executions) == (1, 100)
    assert "SIGSEGV" in found[0].detail
    assert parse(Path(found[0].program).read_text()).ops


def test_a_run_that_does_not_run_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parent, "STOP_SECONDS", 0.5)
    monkeypatch.setattr(standstill, "LEAST_SECONDS", 0.2)
    right, out = f"tdp+{plant_at_fault(tmp_path, STUCK)}", tmp_path / "out"
    assert main(["fuzz", "--right", right, "--time", "4", "--seed", "1", "--out", str(out)]) == 3
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("difffuzz:")]
    assert len(said) == 1
    assert "and then no more in" in said[0]
    (kept,) = (out / "findings").glob("*.difffuzz")
    assert notes_of(kept.read_text())["oracle"] == "harness"


def test_a_slow_program_is_no_standstill() -> None:
    slow, quick = WorkerStats(executions=2, cpu_seconds=10.0), WorkerStats(500, cpu_seconds=10.0)
    assert not stands_still(BUSY_SECONDS + 1, slow)
    assert not stands_still(BUSY_SECONDS - 1, quick)
    assert stands_still(BUSY_SECONDS + 1, quick)
    assert not did_nothing_else(9.0, quick)
    assert did_nothing_else(11.0, quick)
    assert not did_nothing_else(1.0, WorkerStats())
