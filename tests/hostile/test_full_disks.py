# SPDX-License-Identifier: GPL-2.0-only
"""No room for one more file, or byte, from the start or later: status 3, and nothing is lost."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.commands.progress import Progress
from difffuzz.errors import MissingTool
from difffuzz.files.notes import notes_of
from difffuzz.fuzz.options import FuzzOptions
from difffuzz.fuzz.parent import fuzz
from difffuzz.fuzz.stats import Summary
from difffuzz.program import parse
from difffuzz.variants.catalogue import find
from tests.fuzz.planted import plant_at_fault

from .full_disk import give_back, mounted, use_up

FILES, BYTES = "nr_inodes={files},size=64m", "nr_inodes=100000,size={bytes}k"
PROGRAM = "difffuzz program v1\nslot 0 gfn=0x0 pages=0x8 area=1\nvcpu0: write gfn=0x1\n"
RACE = f"{PROGRAM}host0: dontneed area=1 page=0 n=4\n"
RACY = f"tdp+{find('d02c357e5bfa').patch}"
EASY = find("47b0c2e4c220")
COMMANDS = {
    "fuzz": "fuzz --runs 20 --seed 1 --out DISK/out",
    "smoke": "smoke --time 1 --corpus CORPUS --out DISK/out",
    "hunt": f"bugs hunt {EASY.id} --budget 20 --seed 1 --out DISK/out",
    "explore": f"explore race --right {RACY} --preemptions 1 --out DISK/out",
    "explore -o": f"explore race --right {RACY} --preemptions 1 -o DISK/out/x --out kept",
    "diff": "variant diff base base race --runs 1 --explored 0 --out DISK/out",
    "minimize": f"minimize easy --right {EASY.sides()[1]} -o DISK/out/x",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "race").write_text(RACE)
    (tmp_path / "easy").write_text(EASY.program)
    (tmp_path / "corpus").mkdir()
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_that_is_full_from_the_start(
    here: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    # The root of the disk is one file, so there is none for the folder of results.
    with mounted(here / "disk", FILES.format(files=1)):
        words = COMMANDS[command].replace("DISK", "disk").replace("CORPUS", "corpus").split()
        assert main(words) == 3
    said = capsys.readouterr()
    assert said.out == ""
    line = said.err.splitlines()[-1]
    assert re.fullmatch(
        r"difffuzz: disk/out\S*: No space left on device: run 'df -h (\S+); df -i \1'", line
    )


@pytest.mark.parametrize("options", [FILES.format(files=6), BYTES.format(bytes=16)])
def test_a_disk_too_small_to_begin(
    here: Path, capsys: pytest.CaptureFixture[str], options: str
) -> None:
    with mounted(here / "disk", options):
        assert main(["fuzz", "--runs", "20", "--seed", "1", "--out", "disk/out"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("difffuzz: disk/out")
    assert "No space left on device" in line


def test_what_a_search_found_is_said_where_it_cannot_be_kept(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(here / "disk", FILES.format(files=8)) as disk:

        def show(self: Progress, line: str, screen: object = None) -> None:
            use_up(disk)

        monkeypatch.setattr(Progress, "show", show)
        command = ["explore", "race", "--right", RACY, "--out", "disk/out"]
        assert main(command) == 3
    said = capsys.readouterr().err
    assert "signature: retry:tdp:write:R1-page" in said
    assert "difffuzz program v1" in said  # what could not be written


DISKS = [FILES.format(files=1500), BYTES.format(bytes=4096)]


@pytest.mark.parametrize("options", DISKS)
def test_a_disk_that_gets_full_while_a_run_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    right = f"tdp+{plant_at_fault(here, 'kvm.no_such_field += 1')}"
    (here / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(here / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(here / "tmp"))
    with mounted(here / "disk", options) as disk:

        def fill(summary: Summary) -> None:
            use_up(disk)

        with pytest.raises(MissingTool, match="could not write below") as raised:
            fuzz(FuzzOptions(right=right, runs=40, seed=1, out=disk / "out"), fill)
        # No process died, so no innocent program is called a crash.
        assert list((disk / "out" / "findings").glob("*process-*")) == []
    (rescued,) = (here / "tmp").glob("difffuzz-unwritten-*")
    assert str(rescued) in str(raised.value)
    for path in rescued.glob("*.difffuzz"):
        assert "crash" in notes_of(path.read_text())["signature"]
        assert parse(path.read_text()).ops


@pytest.mark.parametrize("options", DISKS)
def test_a_disk_that_has_room_again(here: Path, options: str) -> None:
    right = f"tdp+{plant_at_fault(here, 'kvm.no_such_field += 1')}"
    with mounted(here / "disk", options) as disk:
        polls = 0

        def fill_and_give_back(summary: Summary) -> None:
            nonlocal polls
            polls += 1
            if polls == 1:
                use_up(disk)
            elif polls == 20:
                give_back(disk)
            elif polls > 20 and summary.findings:
                os.kill(os.getpid(), signal.SIGINT)

        summary = fuzz(FuzzOptions(right=right, seed=1, out=disk / "out"), fill_and_give_back)
        assert summary.restarts == 0
        assert {one.oracle for one in summary.findings} == {"crash"}
        for one in summary.findings:
            assert "process-" not in one.signature
            assert parse(Path(one.program).read_text()).ops
