# SPDX-License-Identifier: GPL-2.0-only
"""Corpus directories in both forms, and errors that name the place."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from difffuzz.fuzz.corpus import pagings_of, prepare
from difffuzz.fuzz.stream import GENERATED_SEEDS
from difffuzz.program import decode, encode, parse

TEXT = "difffuzz program v1\nvcpu0: write gfn=0x200\n"
PROGRAM = parse(TEXT)


def test_both_forms_become_bytes(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    (corpus / "below").mkdir(parents=True)
    (corpus / "below" / "a.difffuzz").write_text(TEXT)
    other = parse(TEXT + "vcpu0: read gfn=0x1\n")
    data = encode(other)
    (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    (corpus / "README.md").write_text("not a program")
    assert prepare(corpus, tmp_path / "work", seed=1) == GENERATED_SEEDS + 2
    programs = {decode(path.read_bytes()) for path in (tmp_path / "work").iterdir()}
    assert {PROGRAM, other} <= programs


def test_guests_with_page_tables_are_for_their_mode(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.difffuzz").write_text("difffuzz program v1\nconfig guest=paging64\n")
    for mode, many in (("portfolio", 0), ("lockstep", 0), ("concurrent", 0), ("guests", 4)):
        assert prepare(corpus, tmp_path / mode, seed=1, mode=mode, generated=3) == 3 + many // 4
        made = [decode(path.read_bytes()) for path in (tmp_path / mode).iterdir()]
        assert sum(one.config.guest != "none" for one in made) == many


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
