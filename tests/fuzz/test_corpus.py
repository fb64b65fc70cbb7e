# SPDX-License-Identifier: GPL-2.0-only
"""Corpus directories in both forms, and errors that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.fuzz.corpus import (
    GENERATED_SEEDS,
    pagings_of,
    prepare,
    program_files,
    read_program,
)
from difffuzz.program import ProgramError, decode, encode, parse

TEXT = "difffuzz program v1\nvcpu0: write gfn=0x200\n"
PROGRAM = parse(TEXT)


def test_both_forms_become_bytes(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "below").mkdir(parents=True)
    (corpus / "below" / "a.difffuzz").write_text(TEXT)
    other = parse(TEXT + "vcpu0: read gfn=0x1\n")
    (corpus / "0a1b").write_bytes(encode(other))
    (corpus / "README.md").write_text("not a program")
    assert prepare(corpus, tmp_path / "work", seed=1) == GENERATED_SEEDS + 2
    programs = {decode(path.read_bytes()) for path in (tmp_path / "work").iterdir()}
    assert {PROGRAM, other} <= programs


def test_the_same_seed_generates_the_same_programs(tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepare(None, tmp_path / name, seed=7)
    prepare(None, tmp_path / "three", seed=8)
    one, two, three = (
        {path.name for path in (tmp_path / name).iterdir()} for name in ("one", "two", "three")
    )
    assert one == two != three


def test_generated_programs_have_the_pagings_asked_for(tmp_path: Path) -> None:
    prepare(None, tmp_path / "one", 1)
    prepare(None, tmp_path / "both", 1, ("tdp", "nonpaging"))
    pagings = {
        name: {decode(path.read_bytes()).config.paging for path in (tmp_path / name).iterdir()}
        for name in ("one", "both")
    }
    assert pagings == {"one": {"tdp"}, "both": {"tdp", "nonpaging"}}


def test_a_bad_text_names_file_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "bad.difffuzz"
    path.write_text(TEXT + "vcpu0: fly gfn=0x1\n")
    with pytest.raises(ProgramError, match=r"bad\.difffuzz:3:8: expected"):
        read_program(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.difffuzz", None, "none.difffuzz: No such file"),
        ("latin.difffuzz", b"difffuzz program v1\n\xe9", "byte 21: expected UTF-8"),
        ("huge.difffuzz", b"#" * (1 << 21), "longer than"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_program(tmp_path / name)


def test_a_corpus_is_a_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a directory"):
        list(program_files(tmp_path / "none"))


def test_text_is_known_by_its_first_words_whatever_the_file_is_called(tmp_path: Path) -> None:
    file = tmp_path / "mail.txt"
    file.write_text("difffuzz program v1\nvcpu0: read gfn=0x3\n")
    assert [op.args for op in read_program(file).ops] == [(3,)]
    file.write_text("difffuzz program v1\nvcpu0: read gfn=?\n")
    with pytest.raises(ProgramError, match=r"mail\.txt:2"):
        read_program(file)


@pytest.mark.parametrize(
    ("sides", "pagings"),
    [
        (("legacy", "spec"), ("tdp", "nonpaging")),
        (("legacy+some.patch", "native:legacy"), ("tdp", "nonpaging")),
        (("legacy", "tdp"), ("tdp",)),
        (("tdp@v6.1", "legacy"), ("tdp",)),
        (("legacy", "tdp+some.patch"), ("tdp",)),
        (("native:legacy", "native:mine:tdp"), ("tdp",)),
    ],
)
def test_no_nonpaging_guests_with_the_tdp_mmu(
    sides: tuple[str, str], pagings: tuple[str, ...]
) -> None:
    assert pagings_of(*sides) == pagings
