# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz review`: a refactoring is none, a mistake is one, and says with which program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from difffuzz.cli import main
from difffuzz.program import parse
from tests.docs.valid import valid

from .kernel import source

STALE = """return fault->slot &&
       mmu_invalidate_retry_hva(vcpu->kvm, fault->mmu_seq, fault->hva);"""
REFACTORED = """if (!fault->slot)
		return false;
	return mmu_invalidate_retry_hva(vcpu->kvm, fault->mmu_seq, fault->hva);"""


MMU, TDP_MMU = "arch/x86/kvm/mmu/mmu.c", "arch/x86/kvm/mmu/tdp_mmu.c"
ADJUST = "kvm_mmu_hugepage_adjust(vcpu, fault);"
MAPS = {"kvm_tdp_mmu_map": TDP_MMU, "direct_map": MMU}


def changes(folder: Path, *each: tuple[str, str, str, str]) -> Path:
    """Named changes: file, function, what is found there, what takes its place."""
    path = folder / "change.toml"
    names = ("file", "function", "find", "replace")
    tables = (
        "[[change]]\n"
        + "".join(f"{key} = '''{value}'''\n" for key, value in zip(names, one, strict=True))
        for one in each
    )
    path.write_text("subject = 'KVM: x86/mmu: a change'\n" + "\n".join(tables))
    return path


def stale(folder: Path, replace: str) -> Path:
    """A change of the stale test of 6.1."""
    return changes(folder, (MMU, "is_page_fault_stale", STALE, replace))


def proposal(folder: Path) -> Path:
    """What the mail asks for that the project began with: the huge page is adjusted by the callers
    of both functions that map."""
    return changes(
        folder,
        *((file, function, ADJUST, "") for function, file in MAPS.items()),
        *(
            (MMU, "direct_page_fault", call, f"{{ {ADJUST} {call} }}")
            for call in (f"r = {function}(vcpu, fault);" for function in MAPS)
        ),
    )


def review(
    capsys: pytest.CaptureFixture[str], patch: Path, out: Path, *more: str
) -> tuple[int, dict[str, Any]]:
    tree = ["--tree", str(source()), "--time", "8", "--out", str(out), "--json"]
    status = main(["review", str(patch), *tree, *more])
    return status, valid("review", json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("what", ["stale", "proposal"])
def test_a_refactoring_makes_no_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    patch = proposal(tmp_path) if what == "proposal" else stale(tmp_path, REFACTORED)
    status, document = review(capsys, patch, tmp_path / "out")
    assert status == 0
    assert document["differences"] == []
    assert document["verdict"] == "equal"
    assert document["reached_lines"] == document["changed_lines"] >= 2
    assert document["title"] == "KVM: x86/mmu: a change"
    assert document["before"] != document["after"]


def test_a_mistake_is_told_with_a_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, document = review(capsys, stale(tmp_path, "return false;"), tmp_path / "out")
    assert status == 1
    assert document["verdict"] == "differs"
    first = document["differences"][0]
    assert len(parse(first["program"], "first").ops) <= 8
    [written] = (tmp_path / "out").glob("0-*.difffuzz")
    assert parse(written.read_text(), "written") == parse(first["program"], "first")


WRONG = {
    "no patch": ["nowhere.patch"],
    "options": ["--help-me"],
    "no hunk": ["README.md"],
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_change_is_one_line(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("nothing\n")
    assert main(["review", *WRONG[what], "--tree", str(source())]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("difffuzz: ") for line in lines) == 1
