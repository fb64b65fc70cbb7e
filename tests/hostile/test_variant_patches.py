# SPDX-License-Identifier: GPL-2.0-only
"""Patches of the model are code: `variant check` runs them where they can do nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.errors import UsageError
from difffuzz.sides import open_side
from difffuzz.variants import PatchError

FIRST = "# SPDX-License-Identifier: GPL-2.0-only"
HEAD = "--- a/difffuzz/kvm/__init__.py\n+++ b/difffuzz/kvm/__init__.py\n"


def patch(code: str) -> str:
    """Puts lines of code at the top of a module."""
    lines = code.split("\n")
    added = "".join(f"+{line}\n" for line in lines)
    return f"{HEAD}@@ -1,1 +1,{1 + len(lines)} @@\n {FIRST}\n{added}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


REFUSED = {
    "raise SystemExit": "does not import: SystemExit()",
    "raise SystemExit(0)": "does not import: SystemExit(0)",
    "import os; os._exit(0)": "ends the process that tries it, with status 0",
    "import os; os._exit(1)": "ends the process that tries it, with status 1",
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": "with signal 11",
    "1 / 0": "does not import: ZeroDivisionError",
    "open('PLACE', 'w')": "does not import: PermissionError",
    "import os; os.mkdir('PLACE')": "does not import: PermissionError",
    "import subprocess; subprocess.run(['true'])": "does not import: PermissionError",
    "x = [0] * (1 << 40)": "does not import: MemoryError()",
    "x = " + "(" * 5000 + ")" * 5000: "is no longer Python",
    "x = " + "-" * 100_000 + "1": "is no longer Python",
    "x = '\0'": "is no longer Python",
    "import difffuzz.kvm": "imports the model absolutely",
}


@pytest.mark.parametrize("code", REFUSED)
def test_a_patch_that_does_what_it_should_not_is_one_line(
    folder: Path, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = folder / "made"
    (folder / "evil.patch").write_text(patch(code.replace("PLACE", str(made))))
    assert main(["variant", "check", "evil.patch"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "evil.patch" in said.err
    assert REFUSED[code] in said.err
    assert not made.exists()


def test_an_import_that_never_ends_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("difffuzz.variants.engine.IMPORT_SECONDS", 0.2)
    text = "while True:\n    try:\n        while True: pass\n    except Exception: pass"
    (folder / "evil.patch").write_text(patch(text))
    with pytest.raises(PatchError, match=r"OutOfTime\('not over after 0\.2 s'\)"):
        open_side("tdp+evil.patch")


def test_a_patch_that_ends_the_process_is_no_success(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "evil.patch").write_text(patch("raise SystemExit(0)"))
    (folder / "p").write_text("difffuzz program v1\nvcpu0: read gfn=0x0\n")
    for words in (["replay", "p"], ["fuzz", "--runs", "1"], ["explain", "p"]):
        assert main([*words, "--right", "tdp+evil.patch"]) == 2
        assert "does not import: SystemExit(0)" in capsys.readouterr().err


TEXTS = {
    "many digits": (f"{HEAD}@@ -{'1' * 5000} +1 @@\n x\n", "not a hunk header"),
    "cut off": (f"{HEAD}@@ -1,3 +1,3 @@\n x\n", "ends in the middle"),
    "elsewhere": (patch("x").replace("kvm/__init__.py", "kvm/../cli.py"), "does not exist"),
    "absolute": (patch("x").replace("a/diff", "/").replace("b/diff", "/"), "is not a Python file"),
    "a link": ("diff --git a/x b/x\nrename from x\nrename to y\n", "a rename"),
    "nothing": ("", "no unified diff"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_patch_of_the_model_is_refused(folder: Path, name: str) -> None:
    text, message = TEXTS[name]
    (folder / "evil.patch").write_text(text)
    with pytest.raises(UsageError, match=message):
        open_side("tdp+evil.patch")


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/stdin", ".", "fifo"])
def test_only_regular_files_of_some_size_are_read(folder: Path, name: str) -> None:
    os.mkfifo(folder / "fifo")
    with pytest.raises(UsageError, match=r"cannot be read: [Ii]s (no regular file|a directory)"):
        open_side(f"tdp+{name}")
    (folder / "long.patch").write_text("x" * (2 << 20))
    with pytest.raises(UsageError, match="longer than"):
        open_side("tdp+long.patch")
