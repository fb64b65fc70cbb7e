# SPDX-License-Identifier: GPL-2.0-only
"""Text and JSON of a program, and `difffuzz export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from difffuzz.cli import main
from difffuzz.export.json_form import as_json
from difffuzz.export.reproducer import name_of
from difffuzz.export.text import as_text
from difffuzz.files.notes import notes_of
from difffuzz.program import parse
from difffuzz.variants.catalogue import Bug, find

from .samples import BUGS, reproducer

BUG = "ba6e3fe25543"


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)
def test_text_is_the_program_with_its_notes(bug: Bug) -> None:
    one = reproducer(bug)
    text = as_text(one)
    assert parse(text) == one.program
    notes = notes_of(text)
    assert (notes["left"], notes["right"]) == (one.left, one.right)
    assert notes["oracle"] == bug.oracle
    assert as_text(one._replace(notes=notes)) == text


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)
def test_json_says_what_the_text_says(bug: Bug) -> None:
    """Written out by the names of its fields, each operation is the line of the text form."""
    one = reproducer(bug)
    document = json.loads(json.dumps(as_json(one)))
    assert parse(document["text"]) == one.program
    lines = [line for line in document["text"].split("\n") if line.partition(" ")[0][-1:] == ":"]
    spelt = [f"{op['thread']}: {op['kind']}{_spelt(op)}" for op in document["operations"]]
    assert spelt == lines
    assert [(s["step"], s["thread"]) for s in document["schedule"]] == [
        (step, name) for step, name in _schedule(document["text"])
    ]
    assert len(document["slots"]) == document["text"].count("\nslot ")


def _spelt(operation: dict[str, Any]) -> str:
    words = []
    for key, value in operation["arguments"].items():
        if isinstance(value, bool):
            on = "on" if value else "off"
            words.append(on if key == "on" else f"{key}={on}")
        elif isinstance(value, list):
            words.append(f"{key}={'+'.join(value) or 'none'}")
        elif isinstance(value, int) and key in ("gfn", "page", "n", "first", "other"):
            decimal = operation["kind"] == "mmu_pages"
            words.append(f"{key}={value}" if decimal else f"{key}={value:#x}")
        else:
            words.append(f"{key}={value}")
    return "".join(f" {word}" for word in words)


def _schedule(text: str) -> list[tuple[int, str]]:
    words = [line.split()[1:] for line in text.split("\n") if line.startswith("schedule")]
    pairs = [word.partition(":") for line in words for word in line]
    return [(int(step), thread) for step, _, thread in pairs]


def test_a_digest_stays_with_its_side() -> None:
    one = reproducer(find(BUG))
    noted = one._replace(notes={"right": one.right, "right-digest": "0123456789ab"})
    assert "right-digest" in as_text(noted)
    assert "right-digest" not in as_text(noted._replace(right="tdp"))


def test_a_name_for_c_and_python() -> None:
    assert name_of(Path("out/Leak in TDP.difffuzz")) == "leak_in_tdp"
    assert name_of(Path("048f.txt")) == "p_048f"
    assert name_of(Path("-")) == "reproducer"


def test_a_form_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "it"
    path.write_text(find(BUG).program)
    assert main(["export", str(path), "--to", "pdf"]) == 2
    assert "expected one of text, json" in capsys.readouterr().err


def test_names_in_notes_are_copied_and_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A comment may name a patch that is not there; a test that runs it may not be made of it."""
    path = tmp_path / "it"
    header, _, rest = find(BUG).program.strip().partition("\n")
    path.write_text(f"{header}\n# right: tdp+/nowhere/x.patch\n{rest}\n")
    assert main(["export", str(path), "--to", "text"]) == 0
    assert "# right: tdp+/nowhere/x.patch" in capsys.readouterr().out
    assert main(["export", str(path), "--to", "pytest"]) == 2
    assert "--trust-notes" in capsys.readouterr().err


def test_a_file_is_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "it", tmp_path / "test_it.py"
    path.write_text(find(BUG).program)
    assert main(["export", str(path), "--to", "pytest", "-o", str(out)]) == 0
    assert "def test_it() -> None:" in out.read_text()
    assert main(["export", str(path), "--to", "json", "-o", str(tmp_path / "no" / "x" / "y")]) == 0
    assert main(["export", str(path), "--to", "json", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().out == ""
