# SPDX-License-Identifier: GPL-2.0-only
"""A worker that dies keeps its program; one that is stuck is no success, however few findings."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from difffuzz.errors import MissingTool
from difffuzz.files.notes import notes_of
from difffuzz.fuzz import parent
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
STUCK = """import signal, pathlib
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGVTALRM, signal.SIGTERM])
    pathlib.Path({flag!r}).touch()
    while fault.gfn >= 0: pass"""


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag, out = tmp_path / "stuck", tmp_path / "out"
    right = f"tdp+{plant_at_fault(tmp_path, STUCK.format(flag=str(flag)))}"
    run = parent.FuzzRun(FuzzOptions(right=right, seed=1, out=out), lambda finding: True)
    try:
        run.start()
        while run.poll() and not flag.exists():
            time.sleep(0.05)
        monkeypatch.setattr(parent, "STOP_SECONDS", 0.5)
        with pytest.raises(MissingTool, match=r"made \d executions .*, and then no more in"):
            run.finish()
    finally:
        run.close()
    (kept,) = (out / "findings").glob("*.difffuzz")
    assert notes_of(kept.read_text())["oracle"] == "harness"


def test_a_slow_program_is_no_standstill() -> None:
    slow, quick = WorkerStats(executions=2, cpu_seconds=10.0), WorkerStats(500, cpu_seconds=10.0)
    assert not stands_still(BUSY_SECONDS + 1, slow)
    assert not stands_still(BUSY_SECONDS - 1, quick)
    assert stands_still(BUSY_SECONDS + 1, quick)
    assert not did_nothing_else(9.0, quick)
    assert did_nothing_else(11.0, quick)
    assert did_nothing_else(9.0, WorkerStats(500, cpu_seconds=10.0, start_cpu_seconds=2.0))
    assert did_nothing_else(0.1, WorkerStats(1, cpu_seconds=10.0))
    assert not did_nothing_else(0.0, WorkerStats())
