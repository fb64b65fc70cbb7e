# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz bugs hunt` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from difffuzz.variants.catalogue import find

HUNT = [sys.executable, "-m", "difffuzz", "bugs", "hunt"]
EASY = find("47b0c2e4c220")
HARD = find("own-clear-log-edge")
FIELDS = {"id", "found", "executions", "seconds", "oracle", "signature"}


def hunt(out: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and what --json prints."""
    command = [*HUNT, *arguments, "--out", str(out / "out"), "--seed", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    return done.returncode, json.loads(done.stdout)


def test_a_bug_is_found_from_nothing(tmp_path: Path) -> None:
    status, (found,) = hunt(tmp_path, EASY.id, "--budget", "2000")
    assert status == 1
    assert set(found) >= FIELDS
    assert found["found"]
    assert found["id"] == EASY.id
    assert 0 < found["executions"] <= 2000
    assert found["program"].startswith("difffuzz program v1\n")


def test_what_is_not_found_in_its_budget(tmp_path: Path) -> None:
    status, (found,) = hunt(tmp_path, HARD.id, "--budget", "3")
    assert status == 0
    assert not found["found"]
    assert found["executions"] == 3
    assert found["signature"] is None


def test_a_corpus_is_where_it_starts(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "its_own.difffuzz").write_text(HARD.program)
    # The program is one of some hundred that are read before anything else.
    status, (found,) = hunt(tmp_path, HARD.id, "--corpus", str(corpus), "--budget", "200")
    assert status == 1
    assert found["found"]
