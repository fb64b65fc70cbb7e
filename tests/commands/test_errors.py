# SPDX-License-Identifier: GPL-2.0-only
"""Wrong use and bad input: one line that says what and where, exit status 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.variants.catalogue import find

PROGRAM = "difffuzz program v1\nvcpu0: write gfn=0x200\n"


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("difffuzz: ")
    assert captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command"),
        (["nosuch"], "No such command 'nosuch'"),
        (["fuzz", "--nosuch"], "No such option: --nosuch"),
        (["fuzz", "--time", "soon"], "Invalid value for '--time'"),
        (["fuzz", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["fuzz", "--mode", "nosuch"], "mode 'nosuch' is not one of"),
        (["fuzz", "--right", "nosuch"], "nosuch"),
        (["fuzz", "--right", "tdp+none.patch"], "none.patch"),
        (["replay"], "Missing argument"),
        (["replay", "none.difffuzz"], "none.difffuzz: No such file"),
        (["bugs", "show", "nosuch"], "no bug has this id"),
        (["bugs", "hunt"], "name bugs, or give --all"),
        (["bugs", "hunt", "--all", "--kernel", "v0.1"], "v0.1"),
        (["variant", "diff", "base", "base", "none.difffuzz"], "none.difffuzz: No such file"),
        (["smoke", "--corpus", "none"], "none: expected a directory"),
        (["variant", "check", "none.patch"], "none.patch: cannot be read"),
        (["corpus", "show", "none"], "none: No such file"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert message in error_of(capsys, *arguments)


def test_a_bad_program_names_its_place(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bad.difffuzz"
    path.write_text(PROGRAM + "vcpu0: fly\n")
    assert f"{path}:3:8: expected" in error_of(capsys, "replay", str(path))


@pytest.mark.parametrize("command", [["replay"], ["variant", "diff", "base", "base"]])
def test_a_program_that_is_no_text_names_the_byte(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str]
) -> None:
    path, out = tmp_path / "bad.difffuzz", str(tmp_path / "out")
    path.write_bytes(PROGRAM.encode() + b"\xff")
    options = ["--out", out] if "diff" in command else []
    assert f"{path}: byte {len(PROGRAM) + 1}: expected UTF-8" in error_of(
        capsys, *command, str(path), *options
    )


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["variant", "diff", "base", "base", "--out"], "PLACE/x: Not a directory"),
        (["explore", "PROGRAM", "-o"], "PLACE: File exists"),
        (["minimize", "SHOWN", "--right", "RIGHT", "-o"], "PLACE: File exists"),
    ],
)
def test_where_nothing_can_be_written_nothing_is_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str], expected: str
) -> None:
    program, shown, place = (tmp_path / name for name in ("program", "shown", "file"))
    bug = find("47b0c2e4c220")
    program.write_text(PROGRAM)
    shown.write_text(bug.program)
    place.write_text("")
    names = {"PROGRAM": str(program), "SHOWN": str(shown), "RIGHT": bug.sides()[1]}
    words = [names.get(word, word) for word in command]
    assert expected.replace("PLACE", str(place)) in error_of(capsys, *words, f"{place}/x")


def test_a_corpus_that_is_a_file_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out, corpus = str(tmp_path / "out"), tmp_path / "file"
    corpus.write_text("")
    command = ["fuzz", "--out", out, "--corpus"]
    assert "expected a directory" in error_of(capsys, *command, str(corpus))
    assert "Not a directory" in error_of(capsys, *command, str(corpus / "none"))


def test_an_output_that_cannot_be_written_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "out")
    assert "Not a directory" in error_of(capsys, "fuzz", "--runs", "1", "--out", out)
