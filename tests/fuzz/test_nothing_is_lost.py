# SPDX-License-Identifier: GPL-2.0-only
"""Nothing found is lost: by a death between two writes, a second run, or a full disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from difffuzz.errors import MissingTool, UsageError
from difffuzz.files.notes import text_of
from difffuzz.fuzz.findings import SUFFIX, FindingStore, recover
from difffuzz.fuzz.options import FuzzOptions
from difffuzz.fuzz.out_lock import OutLock
from difffuzz.fuzz.parent import fuzz
from difffuzz.fuzz.stats import Summary
from difffuzz.program import parse

from .planted import plant_at_fault

PROGRAM = parse("difffuzz program v1\nvcpu0: write gfn=0x200\n")
SIDES = {"left": "legacy", "left-digest": "aaaa", "right": "tdp", "right-digest": "bbbb"}


def store(out: Path, run: str = "run", sides: dict[str, str] | None = None) -> FindingStore:
    return FindingStore(out / "findings", out / run, sides or SIDES)


def visible(out: Path) -> list[Path]:
    return [path for path in (out / "findings").iterdir() if not path.name.startswith(".")]


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("where", ["os.link", "os.replace"])
def test_a_death_between_two_writes_loses_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    real = getattr(os, where.removeprefix("os."))

    def dies(old: Path | str, new: Path | str) -> None:
        if ".pending-" in Path(old).name:  # not the write of that file itself
            raise Killed
        real(old, new)

    with monkeypatch.context() as patched:
        patched.setattr(where, dies)
        with pytest.raises(Killed):
            store(tmp_path).add(PROGRAM, "a:tdp", "warn", "")
    assert visible(tmp_path) == []
    assert recover(tmp_path / "findings", tmp_path / "run") == 1
    (found,) = visible(tmp_path)
    assert parse(found.read_text()) == PROGRAM
    assert list((tmp_path / "findings").iterdir()) == [found]
    assert recover(tmp_path / "findings", tmp_path / "run") == 0


def test_what_cannot_be_written_is_not_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    one, other = store(tmp_path), store(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("difffuzz.fuzz.findings.write_atomically", full)
        with pytest.raises(OSError, match="No space"):
            one.add(PROGRAM, "a:tdp", "warn", "")
    assert other.add(PROGRAM, "a:tdp", "warn", "") is not None
    assert one.add(PROGRAM, "a:tdp", "warn", "") is None


def test_a_second_run_keeps_what_the_first_has_shrunk(tmp_path: Path) -> None:
    path = store(tmp_path).add(PROGRAM, "a:tdp", "warn", "")
    assert path is not None
    shrunk = text_of(parse("difffuzz program v1\n"), {"signature": "a:tdp", **SIDES})
    path.write_text(shrunk)
    assert store(tmp_path, "second").add(PROGRAM, "a:tdp", "warn", "") == path
    assert path.read_text() == shrunk
    changed = store(tmp_path, "third", {**SIDES, "right-digest": "cccc"})
    beside = changed.add(PROGRAM, "a:tdp", "warn", "")
    assert beside not in (None, path)
    assert path.read_text() == shrunk


def test_one_run_in_a_folder(tmp_path: Path) -> None:
    lock = OutLock(tmp_path)
    with pytest.raises(UsageError, match=f"process {os.getpid()} works in this folder"):
        OutLock(tmp_path)
    with pytest.raises(UsageError, match="works in this folder"):
        fuzz(FuzzOptions(runs=1, out=tmp_path))
    lock.close()
    OutLock(tmp_path).close()


def test_a_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = "import os, sys, pathlib; from difffuzz.fuzz.out_lock import OutLock\n"
    code += "lock = OutLock(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    OutLock(tmp_path).close()


def test_a_second_run_says_what_it_took_over(tmp_path: Path) -> None:
    right = f"tdp+{plant_at_fault(tmp_path, 'kvm.no_such_field += 1')}"
    options = FuzzOptions(right=right, runs=60, seed=1, out=tmp_path / "out")
    first = fuzz(options)
    assert (first.taken_over.programs, first.taken_over.findings) == (0, 0)
    before = {path: path.read_text() for path in visible(tmp_path / "out")}
    phases: set[str] = set()

    def note(summary: Summary) -> None:
        phases.add(summary.phase)

    second = fuzz(options, note)
    assert second.taken_over.programs == first.corpus
    assert second.taken_over.findings == len(first.findings) > 0
    assert second.to_read > second.taken_over.programs
    assert "reading" in phases
    assert before == {path: path.read_text() for path in visible(tmp_path / "out")}
    assert {one.signature for one in second.findings} == {one.signature for one in first.findings}


def test_a_worker_that_cannot_write_is_no_finding(tmp_path: Path) -> None:
    right = f"tdp+{plant_at_fault(tmp_path, 'kvm.no_such_field += 1')}"
    out = tmp_path / "out"

    def take_away(summary: Summary) -> None:
        folder = out / "findings"
        if folder.is_dir() and not summary.executions:
            folder.rmdir()
            folder.write_text("in the way")

    with pytest.raises(MissingTool, match="could not write"):
        fuzz(FuzzOptions(right=right, runs=60, seed=1, out=out), take_away)
    log = (out / "work" / "worker-0.log").read_text()
    assert "process-crash" not in log
    assert "difffuzz program v1" in log  # what could not be written is in the log, at least


def test_a_disk_that_is_full_for_a_while_is_waited_for(tmp_path: Path) -> None:
    right = f"tdp+{plant_at_fault(tmp_path, 'kvm.no_such_field += 1')}"
    out = tmp_path / "out"
    folder = out / "findings"

    def take_away_and_give_back(summary: Summary) -> None:
        if folder.is_dir() and not summary.executions:
            folder.rmdir()
            folder.write_text("in the way")
        elif folder.is_file() and summary.executions:
            folder.unlink()
            folder.mkdir(exist_ok=True)  # a worker that tries again makes it, too

    options = FuzzOptions(right=right, runs=3000, seed=1, out=out)
    summary = fuzz(options, take_away_and_give_back)
    assert summary.executions == 3000
    assert summary.restarts == 0
    assert {one.oracle for one in summary.findings} == {"crash"}
    for one in summary.findings:
        assert "process-" not in one.signature
        assert one.program.endswith(SUFFIX)
        assert parse(Path(one.program).read_text()).ops
