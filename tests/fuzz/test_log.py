# SPDX-License-Identifier: GPL-2.0-only
"""The log of fuzzing runs."""

from __future__ import annotations

import json
from pathlib import Path

from difffuzz.fuzz.log import LOG, open_log


def test_each_event_is_a_line_of_json_and_runs_append(tmp_path: Path) -> None:
    for run in (1, 2):
        log, file = open_log(tmp_path)
        log.info("start", seed=run)
        file.close()
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [(line["event"], line["seed"]) for line in lines] == [("start", 1), ("start", 2)]
    assert all("timestamp" in line for line in lines)
