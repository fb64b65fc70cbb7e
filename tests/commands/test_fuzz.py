# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz fuzz` as a user meets it: JSON, exit status, Ctrl-C, a fuzzer that sees nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from difffuzz.fuzz.process import rss_limit_mb

FUZZ = [sys.executable, "-m", "difffuzz", "fuzz"]
FIELDS = {
    "executions",
    "seconds",
    "executions_per_second",
    "operations",
    "coverage",
    "corpus",
    "findings",
}
BLIND = """
from difffuzz.fuzz import instrument, worker
instrument.is_model = lambda module: False
worker.main(%r)
"""


def processes_below(directory: Path) -> list[str]:
    """Command lines of processes that name a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if str(directory).encode() in command:
            found.append(command.decode(errors="replace"))
    return found


def wait_for_corpus(process: subprocess.Popen[Any], out: Path) -> None:
    """Until libFuzzer has kept a program, or the run is over."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if list(out.glob("corpus/*")):
            return
        time.sleep(0.1)


def test_json_is_the_only_thing_on_stdout(tmp_path: Path) -> None:
    arguments = ["--runs", "50", "--seed", "1", "--json", "--out", str(tmp_path / "out")]
    done = subprocess.run([*FUZZ, *arguments], capture_output=True, text=True, timeout=100)
    summary = json.loads(done.stdout)
    assert set(summary) >= FIELDS
    assert summary["executions"] == 50
    assert done.returncode == (1 if summary["findings"] else 0)


def test_smoke_replays_what_is_committed_and_fuzzes(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    for part in ("seeds", "races", "regressions", "other"):
        (corpus / part).mkdir(parents=True)
        (corpus / part / "one.difffuzz").write_text("difffuzz program v1\nvcpu0: write gfn=0x0\n")
    options = ["--corpus", str(corpus), "--runs", "9", "--json", "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "difffuzz", "smoke", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    document = json.loads(done.stdout)
    assert document["replayed"] == 3
    assert document["fuzz"]["executions"] > 0
    assert done.returncode == (1 if document["findings"] else 0)


def test_ctrl_c_ends_with_a_summary_and_no_process(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*FUZZ, "--jobs", "2", "--json", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_corpus(process, out)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    summary = json.loads(stdout)
    assert summary["executions"] > 0
    assert process.returncode == (1 if summary["findings"] else 0)
    assert "Traceback" not in stderr
    assert not processes_below(out)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*FUZZ, "--json", "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for_corpus(process, out)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while processes_below(out) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not processes_below(out)


def test_a_blind_fuzzer_ends_with_one_line(tmp_path: Path) -> None:
    own = ["--left", "legacy", "--right", "tdp", "--out", str(tmp_path), "--work", str(tmp_path)]
    flags = ["-seed=1", "-len_control=0", f"-rss_limit_mb={rss_limit_mb(2048)}"]
    arguments = [*own, "--stats", str(tmp_path / "stats"), "--", *flags]
    done = subprocess.run(
        [sys.executable, "-c", BLIND % arguments],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    assert done.returncode == 3
    lines = [line for line in done.stderr.splitlines() if line.startswith("difffuzz: ")]
    assert len(lines) == 1
    assert "coverage does not move: 0 branches of the model after 500 executions" in lines[0]
