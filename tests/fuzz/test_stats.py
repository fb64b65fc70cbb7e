# SPDX-License-Identifier: GPL-2.0-only
"""The figures of a run: read back as written, libFuzzer's taken from its last status line."""

from __future__ import annotations

from pathlib import Path

from difffuzz.fuzz.findings import Finding
from difffuzz.fuzz.stats import WorkerStats, libfuzzer_coverage, total

LOG = """INFO: Seed: 7
#2\tINITED cov: 31 ft: 32 corp: 1/1b exec/s: 0 rss: 40Mb
vcpu0: write cov: 99 ft: 99 corp: 9/
#2048\tpulse  cov: 33 ft: 120 corp: 49/4369b lim: 4096 exec/s: 1024 rss: 47Mb
#2220\tREDUCE cov: 34 ft: 127 corp: 50/4369b lim: 16384 exec/s: 0 rss: 47Mb L: 25/395 MS: 2 Custom-
a line that was not fin"""


def test_the_last_status_line_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 100_000 + "\n" + LOG)
    assert libfuzzer_coverage(log) == 34


def test_no_status_line_is_no_coverage(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("INFO: Seed: 7\n")
    assert libfuzzer_coverage(tmp_path / "log") is None
    assert libfuzzer_coverage(tmp_path / "none") is None


def test_figures_come_back_as_written(tmp_path: Path) -> None:
    stats = WorkerStats(executions=3, allowed={"prefetch": 2})
    stats.findings.append(Finding("s", "leak", "s.difffuzz", "d", 1.5, 3))
    stats.write(tmp_path / "stats.json")
    assert WorkerStats.read(tmp_path / "stats.json") == stats
    assert WorkerStats.read(tmp_path / "none.json") == WorkerStats()


def test_counts_add_up() -> None:
    each = [{"reclaim": 1, "prefetch": 2}, {"prefetch": 5}]
    assert list(total(each).items()) == [("prefetch", 7), ("reclaim", 1)]
