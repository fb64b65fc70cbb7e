# SPDX-License-Identifier: GPL-2.0-only
"""Whatever somebody mails is read or refused with one line, soon, and touches no other file.

`scripts/hostile` reads a million mutated texts; here are two thousand.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.mutations import ROOT, SECONDS, processor_time
from tests.hostile.readers import CHANGES, DIFF, Reader, answer, readers


def test_mutated_files_are_read_or_refused() -> None:
    command = [sys.executable, "-m", "tests.hostile.mutations", "--count", "2000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    for suffix in (".diff", ".difffuzz", ".patch", ".toml"):
        assert f"{suffix}: " in done.stdout


LONG = "x" * 300
FOUND = {
    "a line that is only a carriage return": ("a.difffuzz", "\r"),
    "a diff whose file name is too long": ("a.diff", DIFF.replace("b.c", LONG)),
    "a change whose file name is too long": ("a.toml", CHANGES.replace("b.c", LONG)),
    "dashes without an end": ("a.diff", DIFF.replace("--- a/virt", f"--- {'-' * 200_000}")),
}
"""What a million mutations found first."""


@pytest.mark.parametrize("what", FOUND)
def test_what_mutations_found(tmp_path: Path, what: str) -> None:
    name, text = FOUND[what]
    (tmp_path / name).write_bytes(text.encode())
    with processor_time(SECONDS):
        assert answer(reader_of(name, tmp_path), tmp_path / name)


def reader_of(name: str, folder: Path) -> Reader:
    empty = folder / "none"
    return next(one for one in readers(folder, empty, empty) if one.name == name)
