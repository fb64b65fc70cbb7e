# SPDX-License-Identifier: GPL-2.0-only
"""Whole runs against the model with a bug planted in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from difffuzz.errors import MissingTool
from difffuzz.files.notes import notes_of
from difffuzz.files.program_file import read_program
from difffuzz.fuzz.options import FuzzOptions
from difffuzz.fuzz.parent import fuzz
from difffuzz.fuzz.process import WorkerProcess
from difffuzz.fuzz.stats import WorkerStats
from difffuzz.fuzz.target import Target
from difffuzz.program import encode, parse
from difffuzz.running.runner import Runner

from .planted import plant_at_fault, plant_stale

PARKED = """difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x400 area=1 page=0x0
vcpu0: begin_fault gfn=0x3 access=write
host0: dontneed area=1 page=0x3 n=0x1
vcpu0: end_fault
vcpu0: read gfn=0x3
"""


def test_a_planted_bug_is_found_and_shrunk(tmp_path: Path) -> None:
    right = f"tdp+{plant_stale(tmp_path)}"
    plain = Runner("legacy", "tdp")
    options = FuzzOptions(
        right=right, runs=5000, seed=1, out=tmp_path / "out", stop_on_finding=True
    )
    summary = fuzz(
        options, accept=lambda found: not plain(read_program(Path(found.program))).divergences
    )
    assert summary.findings
    assert summary.executions_per_second > 0
    assert summary.coverage > summary.branches > 500
    finding = summary.findings[0]
    text = Path(finding.program).read_text()
    assert notes_of(text)["signature"] == finding.signature
    program = parse(text)
    assert len(program.ops) <= 5
    assert Runner("legacy", right)(program).divergences[0].signature == finding.signature
    assert not plain(program).divergences


def test_the_patched_side_alone_shows_the_bug(tmp_path: Path) -> None:
    program = parse(PARKED)
    assert not Runner("legacy", "tdp")(program).divergences
    assert Runner("legacy", f"tdp+{plant_stale(tmp_path)}")(program).divergences


def test_the_same_seed_repeats_a_run(tmp_path: Path) -> None:
    def run(name: str, seed: int) -> tuple[int, set[str]]:
        out = tmp_path / name
        summary = fuzz(FuzzOptions(runs=300, seed=seed, out=out))
        assert summary.executions == 300
        return summary.operations, {path.name for path in (out / "corpus").iterdir()}

    one = run("one", 7)
    assert one == run("two", 7)
    assert one != run("three", 8)


def test_runs_are_those_of_all_jobs(tmp_path: Path) -> None:
    summary = fuzz(FuzzOptions(runs=101, seed=3, jobs=2, out=tmp_path / "out"))
    assert summary.executions == 101


def test_time_ends_a_run(tmp_path: Path) -> None:
    summary = fuzz(FuzzOptions(time=3.0, out=tmp_path / "out"))
    assert 2.5 <= summary.seconds <= 10.0


def test_a_crash_of_the_model_is_one_finding(tmp_path: Path) -> None:
    right = f"tdp+{plant_at_fault(tmp_path, 'kvm.no_such_field += 1')}"
    summary = fuzz(FuzzOptions(right=right, runs=60, seed=1, out=tmp_path / "out"))
    assert summary.executions == 60
    assert {finding.oracle for finding in summary.findings} == {"crash"}
    assert len({finding.signature for finding in summary.findings}) == len(summary.findings)
    assert len(list((tmp_path / "out" / "findings").iterdir())) == len(summary.findings)


def test_a_process_that_dies_leaves_its_program_and_is_replaced(tmp_path: Path) -> None:
    abort = "__import__('os').abort() if fault.gfn == 0x401 else None"
    right = f"tdp+{plant_at_fault(tmp_path, abort)}"
    summary = fuzz(FuzzOptions(right=right, runs=200, seed=1, out=tmp_path / "out"))
    assert summary.restarts >= 1
    died = [found for found in summary.findings if found.signature.endswith("process-crash")]
    assert len(died) == 1
    assert read_program(Path(died[0].program)).ops


def test_a_process_that_dies_while_it_is_waited_for_leaves_its_program(tmp_path: Path) -> None:
    """The run is over, nobody polls any more."""
    work = tmp_path / "work"
    (work / "seeds").mkdir(parents=True)
    worker = WorkerProcess(FuzzOptions(out=tmp_path), work, 0, 1)
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(77)"]) as process:
        worker._process = process
        (work / "worker-0.0.crash-1").write_bytes(encode(parse(PARKED)))
        worker.wait(60.0)
    findings = [found for one in worker.stats() for found in one.findings]
    assert [found.oracle for found in findings] == ["crash"]
    assert parse(Path(findings[0].program).read_text()) == parse(PARKED)


def test_operators_are_counted(tmp_path: Path) -> None:
    # What one worker has found, the other reads: how much of the runs that takes goes by the clock.
    summary = fuzz(FuzzOptions(runs=800, seed=1, jobs=2, out=tmp_path / "out"))
    operators = summary.operators
    assert {"fresh", "insert", "crossover"} <= operators.keys()
    made = sum(one.inputs for one in operators.values())
    assert 100 < made < 4 * summary.executions
    assert all(0 <= one.earned <= one.inputs for one in operators.values())
    assert operators["fresh"].earned > 0


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    right = f"tdp+{plant_at_fault(tmp_path, '__import__(chr(111) + chr(115))._exit(9)')}"
    with pytest.raises(MissingTool, match="worker-0 died with status 9, after 2 restarts"):
        fuzz(FuzzOptions(right=right, runs=50, seed=1, out=tmp_path / "out"))


def test_a_loop_in_the_model_is_a_finding(tmp_path: Path) -> None:
    loop = "[None for _ in iter(int, 1)]"
    run = Runner("legacy", f"tdp+{plant_at_fault(tmp_path, loop)}")
    run.watchdog.seconds = 0.2
    (found,) = run(parse(PARKED)).divergences
    assert found.oracle == "progress"
    assert found.signature.endswith(":hang")


def test_memory_that_the_parent_has_is_not_the_worker_s(tmp_path: Path) -> None:
    """What a process had at most counts on in its children, also when they load another program."""
    ballast = b"x" * (500 << 20)
    summary = fuzz(FuzzOptions(runs=150, seed=1, out=tmp_path / "out", memory_mb=400))
    assert len(ballast) > 400 << 20
    assert (summary.executions, summary.findings, summary.restarts) == (150, [], 0)


def test_a_program_that_does_not_do_the_same_again_is_unstable(tmp_path: Path) -> None:
    counts = "globals().__setitem__('runs', globals().get('runs', 0) + 1)"
    sick = f"{counts}; [kvm.sched.point('x', False) for _ in range(globals()['runs'] % 7)]"
    for right, stable in (("tdp", True), (f"tdp+{plant_at_fault(tmp_path, sick)}", False)):
        target = Target.__new__(Target)
        target.run = Runner("legacy", right)
        assert target.is_stable(parse(PARKED)) is stable


def test_some_programs_are_run_again(tmp_path: Path) -> None:
    summary = fuzz(FuzzOptions(runs=1100, seed=1, out=tmp_path / "out", mode="lockstep"))
    (path,) = (tmp_path / "out" / "work").glob("worker-0.0.json")
    stats = WorkerStats.read(path)
    assert summary.executions == 1100
    assert (stats.repeated, stats.unstable) == (2, 0)
