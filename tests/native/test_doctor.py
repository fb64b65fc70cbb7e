# SPDX-License-Identifier: GPL-2.0-only
"""`native doctor` says ok where a build works, and nowhere else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.native import doctor
from difffuzz.native.configure import TOOLS
from difffuzz.native.doctor import Requirement

from .needs import needs

EVERYTHING = (*TOOLS, *doctor._ALSO)
FAILS = "#!/bin/sh\necho broken >&2\nexit 1\n"
SAYS_NOTHING = "#!/bin/sh\nexit 0\n"
GCC = shutil.which("gcc")


def refuses(word: str, line: str) -> str:
    """A gcc that ends with this line where a word is on its command line."""
    return f'#!/bin/sh\ncase " $* " in *" {word} "*) echo "{line}" >&2; exit 1;; esac\n{GCC} "$@"\n'


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose tools are found before those that there are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DIFFFUZZ_CACHE", str(tmp_path / "cache"))
    return folder


def replace(tool: Path, text: str) -> None:
    tool.write_text(text)
    tool.chmod(0o755)


def looked(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Requirement]]:
    status = main(["native", "doctor", "--json"])
    found = [Requirement(**one) for one in json.loads(capsys.readouterr().out)]
    return status, {one.name: one for one in found}


@needs(*EVERYTHING)
def test_all_is_well(capsys: pytest.CaptureFixture[str], tools: Path) -> None:
    status, found = looked(capsys)
    assert status == 0
    assert {*EVERYTHING, "gcc builds", "libc headers", "harness"} <= {
        name for name, one in found.items() if one.state == "ok"
    }
    assert found["source"].state == "absent"
    assert found["clang-14" if "clang-14" in found else "clang-14 builds"].state != "MISSING"
    assert not list(tools.parent.glob(".doctor-*"))


@needs(*EVERYTHING)
@pytest.mark.parametrize(
    ("tool", "text", "row", "detail"),
    [
        ("flex", FAILS, "flex", "does not work: broken"),
        ("m4", FAILS, "flex", "does not work: "),
        ("bison", FAILS, "bison", "does not work: broken"),
        ("bc", SAYS_NOTHING, "bc", "does not work: 6*7 is ''"),
        ("make", FAILS, "make", "does not work: broken"),
        ("sed", FAILS, "make", "does not work: "),
        ("gcc", FAILS, "gcc", "does not work: broken"),
        ("gcc", SAYS_NOTHING, "gcc", "does not work: "),
        ("gcc", refuses("program.c", "cannot find crt1.o"), "gcc", "cannot find crt1.o"),
        (
            "gcc",
            refuses("headers.c", "headers.c:2:10: fatal error: elf.h: No such file"),
            "libc headers",
            "headers.c:2: elf.h: No such file",
        ),
        ("gcc", refuses("-mskip-rax-setup", "unknown option"), "gcc builds", "unknown option"),
        ("gcc", refuses("-shared", "cannot find -lgcc"), "gcc builds", "cannot find -lgcc"),
        ("ld", FAILS, "gcc builds", "broken"),
        ("objcopy", FAILS, "gcc builds", "broken"),
        ("clang-14", FAILS, "clang-14 builds", "broken"),
    ],
)
def test_a_tool_that_stands_there_and_does_not_work(
    capsys: pytest.CaptureFixture[str], tools: Path, tool: str, text: str, row: str, detail: str
) -> None:
    replace(tools / tool, text)
    status, found = looked(capsys)
    assert status == 3
    assert found[row].state == "MISSING"
    assert detail in found[row].detail
    assert "apt-get install" in found[row].command


@needs(*EVERYTHING)
def test_what_is_no_tool(
    capsys: pytest.CaptureFixture[str],
    tools: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "cache/sources/linux-source-6.1").mkdir(parents=True)
    status, found = looked(capsys)
    assert (status, found["source"].state) == (3, "MISSING")
    assert "no kernel tree" in found["source"].detail

    harness = tmp_path / "harness"
    monkeypatch.setattr(doctor, "HARNESS", harness)
    _, found = looked(capsys)
    assert found["harness"].state == "MISSING"
    shutil.copytree(Path(__file__).parents[2] / "harness/native", harness)
    (harness / "machine/gup.c").unlink()
    _, found = looked(capsys)
    assert "machine/gup.c" in found["harness"].detail

    monkeypatch.setenv("DIFFFUZZ_CACHE", "/proc/nothing")
    status, found = looked(capsys)
    assert (status, found["cache"].state) == (3, "MISSING")
