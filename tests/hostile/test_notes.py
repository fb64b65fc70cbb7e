# SPDX-License-Identifier: GPL-2.0-only
"""Opening a program runs nothing that did not come with difffuzz, whatever its notes say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from difffuzz.cli import main

BODY = "slot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0\nvcpu0: read gfn=0x0\n"
MARK = "ran-by-a-program"
PAYLOAD = f'import pathlib; pathlib.Path("{MARK}").write_text("ran")'
OLD = "# SPDX-License-Identifier: GPL-2.0-only\n"


def diff(end: str) -> str:
    """A patch of the model that runs the payload, with `end` behind each line."""
    lines = [
        "--- a/difffuzz/kvm/__init__.py",
        "+++ b/difffuzz/kvm/__init__.py",
        "@@ -1,1 +1,2 @@",
        f" {OLD.strip()}",
        f"+{PAYLOAD}",
    ]
    return "".join(f"{line}{end}" for line in lines)


def program(left: str, right: str, more: str = "") -> str:
    return f"difffuzz program v1\n# left: {left}\n# right: {right}\n{more}{BODY}"


COMMANDS = (
    ("replay", "FILE"),
    ("explain", "FILE"),
    ("minimize", "FILE", "-o", "small.difffuzz"),
    ("explore", "FILE"),
    ("replay", "."),
    ("smoke", "--corpus", ".", "--time", "1", "--out", "out"),
)
NOTES = {
    "a patch beside it": ("legacy", "tdp+evil.patch"),
    "a patch with a path": ("legacy+./evil.patch", "tdp"),
    "a patch of a version": ("legacy", "tdp@v6.12+evil.patch"),
    "itself": ("legacy", "tdp+FILE"),
    "behind a bug of the catalogue": ("legacy", "tdp+b59a87c1ba3c+evil.patch"),
    "a build": ("native:/tmp:tdp", "tdp"),
    "the default build": ("native:legacy", "native:tdp"),
    "a build above": ("legacy", "native:../../x:tdp"),
    "a version that is a path": ("legacy", "tdp@../../x"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.patch").write_text(diff("\n"))
    return tmp_path


def run(folder: Path, words: Sequence[str], text: str) -> int:
    (folder / "seeds").mkdir(exist_ok=True)
    for name in ("it.difffuzz", "seeds/it.difffuzz"):
        (folder / name).write_bytes(text.replace("FILE", "it.difffuzz").encode())
    if words[1] == ".":
        (folder / "evil.patch").unlink()
    return main([word.replace("FILE", "it.difffuzz") for word in words])


@pytest.mark.parametrize("notes", NOTES)
def test_notes_that_name_code_are_not_obeyed(
    folder: Path, notes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in COMMANDS[:5]:
        assert run(folder, words, program(*NOTES[notes])) == 2
        said = capsys.readouterr()
        assert len(said.err.strip().split("\n")) <= 2
        assert "it.difffuzz: its notes" in said.err
        assert "Traceback" not in said.err + said.out
        assert not (folder / MARK).exists()


def test_a_pull_request_cannot_run_code_in_smoke(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, COMMANDS[5], program("legacy", "tdp+evil.patch")) == 2
    assert "its notes name the side" in capsys.readouterr().err
    assert not (folder / MARK).exists()


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x85", "\u2028", "\r\n# "])
def test_a_program_is_not_its_own_patch(
    folder: Path, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines end at a line feed and nowhere else, for programs and for patches."""
    comment = "# x" + end + diff(end) + "\n"
    text = program("legacy", "tdp+FILE", comment)
    assert run(folder, COMMANDS[0], text) == 2
    words = ("replay", "FILE", "--right", "tdp+it.difffuzz")
    assert run(folder, words, text) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (folder / MARK).exists()


def test_trusted_notes_run_what_they_say_if_the_digest_fits(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = program("legacy", "tdp+evil.patch")
    words = ("replay", "FILE", "--trust-notes")
    assert run(folder, words, text) == 2
    assert "of no digest" in capsys.readouterr().err
    assert run(folder, words, text.replace("# left", "# right-digest: 0123456789ab\n# left")) == 2
    assert not (folder / MARK).exists()
    said = capsys.readouterr().err
    assert "of digest 0123456789ab, here it is " in said
    digest = said.split("here it is ")[1][:12]
    assert run(folder, words, text.replace("# left", f"# right-digest: {digest}\n# left")) == 0
    assert f"runs right side 'tdp+evil.patch' ({digest})" in capsys.readouterr().err
    assert (folder / MARK).exists()


def test_notes_may_name_what_came_with_difffuzz(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for right in ("tdp", "spec", "tdp@v6.12", "tdp+b59a87c1ba3c", "tdp@v6.12+b59a87c1ba3c"):
        assert run(folder, COMMANDS[0], program("legacy", right)) == 0
        assert right in capsys.readouterr().out
