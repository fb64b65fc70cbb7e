# SPDX-License-Identifier: GPL-2.0-only
"""Findings: one whole file per signature, whoever finds it first."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.files.atomic import write_atomically
from difffuzz.files.notes import notes_of, text_of
from difffuzz.fuzz.findings import FindingStore, slug
from difffuzz.program import parse

PROGRAM = parse("difffuzz program v1\nvcpu0: write gfn=0x200\n")
SIDES = {"left": "legacy", "right": "tdp"}


def test_a_finding_is_a_program_with_notes(tmp_path: Path) -> None:
    store = FindingStore(tmp_path / "findings", tmp_path / "claims", SIDES)
    path = store.add(PROGRAM, "leak:tdp:root", "leak", "two\nlines")
    assert path is not None
    text = path.read_text()
    assert parse(text) == PROGRAM
    assert notes_of(text) == {
        "signature": "leak:tdp:root",
        "oracle": "leak",
        **SIDES,
        "detail": "two lines",
    }


def test_two_workers_write_a_signature_once(tmp_path: Path) -> None:
    one, two = (FindingStore(tmp_path / "f", tmp_path / "claims", SIDES) for _ in range(2))
    assert one.add(PROGRAM, "a", "warn", "") is not None
    assert one.add(PROGRAM, "a", "warn", "") is None
    assert two.add(PROGRAM, "a", "warn", "") is None
    assert two.add(PROGRAM, "b", "warn", "") is not None
    assert len(list((tmp_path / "f").iterdir())) == 2


def test_a_new_run_writes_the_signature_again(tmp_path: Path) -> None:
    assert FindingStore(tmp_path / "f", tmp_path / "1", SIDES).add(PROGRAM, "a", "warn", "")
    assert FindingStore(tmp_path / "f", tmp_path / "2", SIDES).add(PROGRAM, "a", "warn", "")


def test_slugs_are_file_names_and_differ() -> None:
    signatures = ["a:b", "a/b", "a b", "../../etc", ".", "", "x" * 500, "x" * 501]
    names = [slug(signature) for signature in signatures]
    assert len(set(names)) == len(names)
    assert all("/" not in name and not name.startswith(".") and len(name) < 100 for name in names)


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*args: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_notes_end_where_the_program_begins() -> None:
    text = text_of(PROGRAM, {"signature": "s"}) + "# left: not a note\n"
    assert notes_of(text) == {"signature": "s"}
