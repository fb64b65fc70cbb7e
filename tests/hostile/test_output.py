# SPDX-License-Identifier: GPL-2.0-only
"""Whatever streams, folder and names are like: one line, a status, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.commands import corpus, fault
from difffuzz.files.printable import json_text, printable

PROGRAM = "difffuzz program v1\nvcpu0: read gfn=0x0\n"
COMMANDS = ("replay p.difffuzz", "replay p.difffuzz --json", "explain p.difffuzz", "bugs list")
NOBODY = "| nobody"
"""A pipe whose other end is closed."""
STREAMS = {
    ">/dev/full": "difffuzz: output: No space left on device",
    ">&-": "difffuzz: standard output is closed",
    NOBODY: "difffuzz: standard output: Broken pipe",
    ">&- 2>&-": "",
    ">/dev/full 2>/dev/full": "",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.difffuzz").write_text(PROGRAM)
    return tmp_path


def shell(words: str) -> subprocess.CompletedProcess[str]:
    """bash runs the command line."""
    script = f"{sys.executable} -m difffuzz {words}"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)


def to_nobody(words: str) -> subprocess.CompletedProcess[str]:
    """Writes into a pipe that nobody reads any more."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "difffuzz", *words.split()]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    return done


@pytest.mark.parametrize("stream", STREAMS)
def test_output_that_goes_nowhere_is_status_3(folder: Path, stream: str) -> None:
    for command in COMMANDS:
        done = to_nobody(command) if stream == NOBODY else shell(f"{command} {stream}")
        assert done.returncode == 3, done
        assert done.stderr.strip() == STREAMS[stream]


def test_a_folder_that_is_gone_is_one_line(folder: Path) -> None:
    gone = folder / "gone"
    for command in ("replay p", "fuzz --runs 1", "variant diff base base", "corpus show ."):
        gone.mkdir(exist_ok=True)
        script = f"cd {gone}; rmdir {gone}; {sys.executable} -m difffuzz {command}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode in (2, 3)
        assert done.stderr.startswith("difffuzz: ")
        assert done.stderr.count("\n") == 1


NASTY = b"\xff\x1b[31m\xe2\x80\xae.difffuzz"
"""No UTF-8, a colour, and a mark that turns the text behind it."""


def test_names_do_not_steer_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(NASTY)
    (folder / name).write_text(PROGRAM)
    shown = "\\xff\\x1b[31m\\u202e.difffuzz"
    assert main(["replay", name]) == 0
    assert capsys.readouterr().out.startswith(f"{shown}: same")
    assert main(["replay", name, "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["program"] == "\\xff\x1b[31m\u202e.difffuzz"
    (folder / name).write_text("no program \x1b[2J")
    assert main(["replay", name]) == 2
    assert capsys.readouterr().err.startswith(f"difffuzz: {shown}: no program")


def test_what_is_printed_is_text() -> None:
    assert printable("a\tb\nc") == "a\tb\nc"
    assert printable("\x1b]0;x\x07\r\x9b\u2066\udcff") == "\\x1b]0;x\\x07\\x0d\\x9b\\u2066\\xff"
    assert printable("gr\u00fcn \u65e5\u672c") == "gr\u00fcn \u65e5\u672c"
    steering = {"k\x9b": ["\u202e", ("\udcfe", 1, None, True)]}
    text = json_text(steering)
    assert text.isascii()
    assert json.loads(text) == {"k\x9b": ["\u202e", ["\\xfe", 1, None, True]]}


def test_a_fault_of_difffuzz_is_one_line_with_a_file_to_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: Path) -> None:
        raise ZeroDivisionError("by \x1b")

    monkeypatch.setattr(corpus, "read_program", broken)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert main(["corpus", "show", "p.difffuzz"]) == 70
    line = capsys.readouterr().err
    assert line.startswith("difffuzz: a fault of difffuzz: ZeroDivisionError: by \\x1b: please")
    report = Path(line.split()[-1]).read_text()
    assert "Traceback" in report
    assert "difffuzz 0." in report
    monkeypatch.setattr("tempfile.tempdir", str(folder / "none"))
    assert "no report could be written" in fault.report(ValueError("x"))


def test_ctrl_c_is_no_finding(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(corpus, "read_program", interrupted)
    assert main(["corpus", "show", "p.difffuzz"]) == 130
    assert capsys.readouterr().err == "difffuzz: interrupted\n"
