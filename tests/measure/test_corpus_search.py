# SPDX-License-Identifier: GPL-2.0-only
"""scripts/explore: a row for each program, one JSON document, an exit status that says it all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = "-m", "difffuzz.measure.corpus_search"


def explore(output: Path, *arguments: str) -> tuple[int, list[dict[str, object]]]:
    """Exit status and rows."""
    command = [sys.executable, *SCRIPT, *arguments, "-o", str(output)]
    result = subprocess.run(command, capture_output=True, check=False)
    return result.returncode, json.loads(output.read_text())


def test_quiet_without_the_patch_and_found_with_it(tmp_path: Path) -> None:
    status, rows = explore(tmp_path / "rows.json", "d02c357e5bfa", "--preemptions", "1")
    assert status == 0
    plain, patched = rows
    assert plain["complete"]
    assert plain["divergences"] == []
    assert patched["patched"]
    assert patched["divergences"]


def test_a_search_that_is_not_complete_is_a_failure(tmp_path: Path) -> None:
    options = ("mmu_notifier_munmap", "--preemptions", "2", "--time", "0.01")
    status, (row,) = explore(tmp_path / "rows.json", *options)
    assert status == 1
    assert not row["complete"]
