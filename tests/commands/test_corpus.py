# SPDX-License-Identifier: GPL-2.0-only
"""`corpus minimize`, `merge`, `export`, `import`: from folders to one file and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from difffuzz.cli import main
from difffuzz.program import encode, parse
from difffuzz.variants.catalogue import find
from tests.fuzz.test_set_cover import LARGE, SMALL


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = main(["corpus", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus of two programs, one of which is there twice, and of something else."""
    made = tmp_path / "corpus"
    (made / "below").mkdir(parents=True)
    (made / "small.difffuzz").write_text(SMALL)
    (made / "large.difffuzz").write_text(LARGE)
    (made / "below" / "small.difffuzz").write_text(SMALL)
    (made / "README.md").write_text("nothing\n")
    return made


def test_a_corpus_becomes_smaller(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder.parent / "out"
    status, document = run(capsys, "minimize", str(folder), "-o", str(out))
    assert status == 0
    assert (document["programs"], document["kept"]) == (3, len(list(out.rglob("*.difffuzz"))))
    assert (out / "large.difffuzz").read_text() == LARGE
    assert document["kept"] < 3
    again = run(capsys, "minimize", str(folder), "-o", str(out))[1]
    assert again == document


def test_a_sweep_goes_on_where_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bug = find("ec89e6438671")
    left, right = bug.sides()
    text = "".join(line for line in bug.program.splitlines(True) if "schedule" not in line)
    (folder / "race.difffuzz").write_text(text)
    out = folder.parent / "out"
    sides = ["--left", left, "--right", right, "--out", str(out)]
    status, document = run(capsys, "sweep", str(folder), *sides)
    assert status == 1
    assert document["complete"]
    assert document["programs"] == document["swept"] == 1
    assert bug.oracle in {one["oracle"] for one in document["findings"]}
    assert main(["replay", document["findings"][0]["program"], "--trust-notes"]) == 1
    capsys.readouterr()
    status, document = run(capsys, "sweep", str(folder), *sides)
    assert (status, document["programs"], document["findings"]) == (0, 0, [])


def test_corpora_are_joined_and_go_through_one_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bytes").write_bytes(b"no program by itself")
    out, packed, back = (folder.parent / name for name in ("out", "packed.tar.gz", "back"))
    status, document = run(capsys, "merge", str(folder), str(folder / "below"), "-o", str(out))
    assert (status, document) == (0, {"programs": 4, "new": 2})
    assert main(["corpus", "export", str(out), "-o", str(packed)]) == 0
    capsys.readouterr()
    status, document = run(capsys, "import", str(packed), "-o", str(back))
    assert (status, document) == (0, {"programs": 2, "new": 2})
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted(path.name for path in back.iterdir())
    programs = {encode(parse(path.read_text(), path.name)) for path in back.iterdir()}
    assert programs == {encode(parse(text, "given")) for text in (SMALL, LARGE)}


WRONG = {
    "no corpus": ["minimize", "nowhere", "-o", "out"],
    "no archive": ["import", "nowhere", "-o", "out"],
    "no programs": ["export", ".", "-o", "x"],
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_use_is_one_line(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["corpus", *WRONG[what]]) == 2
    assert capsys.readouterr().err.count("\n") == 1
