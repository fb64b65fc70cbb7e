# SPDX-License-Identifier: GPL-2.0-only
"""`replay`, `minimize`, `corpus show`, `variant check`: programs and patches in files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from difffuzz.cli import main
from difffuzz.program import encode, parse
from tests.fuzz.planted import plant_at_fault

TEXT = """difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x400 area=1 page=0x0
vcpu0: read gfn=0x1
host0: age area=0 page=0x0 n=0x1 flush=off
vcpu0: write gfn=0x200
"""

# Shows a bug of both MMUs, catalogue id ba6e3fe25543.
WRAPS = """difffuzz program v1
config seq_bias=1
slot 0 as=0 gfn=0x0 pages=0x10 area=1 page=0x0
vcpu0: read gfn=0x0
host0: dontneed area=1 page=0x0 n=0x1
vcpu0: read gfn=0x0
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.difffuzz"
    path.write_text(TEXT)
    return path


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """A side that crashes at each write fault."""
    return f"tdp+{plant_at_fault(tmp_path, 'kvm.no_such_field += fault.write')}"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_replay_same(capsys: pytest.CaptureFixture[str], program: Path) -> None:
    status, (verdict,) = run(capsys, "replay", str(program))
    assert status == 0
    assert (verdict["program"], verdict["verdict"]) == (str(program), "same")
    assert verdict["divergences"] == []


def test_replay_divergence(capsys: pytest.CaptureFixture[str], program: Path, broken: str) -> None:
    status, (verdict,) = run(capsys, "replay", str(program), "--right", broken)
    assert status == 1
    assert verdict["verdict"] == "divergence"
    assert {"oracle", "signature", "detail"} <= set(verdict["divergences"][0])


@pytest.mark.parametrize("on", [("tdp",), ("legacy", "tdp")])
def test_what_both_sides_break_alike_is_no_difference(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, on: tuple[str, ...]
) -> None:
    """A bug that both MMUs have is a finding, and no difference."""
    program = tmp_path / "wraps.difffuzz"
    program.write_text(WRAPS)
    names = [f"{base}+ba6e3fe25543" if base in on else base for base in ("legacy", "tdp")]
    sides = [str(program), "--left", names[0], "--right", names[1]]
    alike = len(on) == 2
    status, (verdict,) = run(capsys, "replay", *sides)
    assert (status, verdict["verdict"], verdict["alike"]) == (1, "divergence", alike)
    assert main(["replay", *sides]) == 1
    assert ("no difference between them" in capsys.readouterr().out) == alike
    status, explained = run(capsys, "explain", *sides)
    heads = [line.strip() for line in explained["trace"] if ">>>" in line]
    words = "both sides break this alike: no difference between them"
    assert heads == [f">>> {words if alike else 'the first difference'}"]


def test_replay_takes_directories_and_bytes(
    capsys: pytest.CaptureFixture[str], program: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    data = encode(parse(TEXT))
    (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    (corpus / "text.difffuzz").write_text(TEXT)
    status, verdicts = run(capsys, "replay", str(corpus), str(program))
    assert status == 0
    assert len(verdicts) == 3


def test_a_nonpaging_program_meets_the_specification(
    capsys: pytest.CaptureFixture[str], program: Path
) -> None:
    program.write_text(TEXT.replace("slot 0", "config paging=nonpaging\nslot 0"))
    _, (verdict,) = run(capsys, "replay", str(program))
    assert (verdict["left"], verdict["right"]) == ("legacy", "spec")


def test_minimize_keeps_the_signature_and_replay_knows_the_sides(
    capsys: pytest.CaptureFixture[str], program: Path, broken: str, tmp_path: Path
) -> None:
    small = tmp_path / "small.difffuzz"
    arguments = ["minimize", str(program), "-o", str(small), "--right", broken]
    status, document = run(capsys, *arguments)
    assert status == 0
    assert (document["operations"], document["operations_before"]) == (1, 3)
    assert [op.args for op in parse(small.read_text()).ops] == [(0,)]
    status, (verdict,) = run(capsys, "replay", str(small), "--trust-notes")
    assert status == 1
    assert verdict["right"] == broken
    assert verdict["divergences"][0]["signature"] == document["signature"]


def test_minimize_has_nothing_to_do_for_sides_that_agree(
    capsys: pytest.CaptureFixture[str], program: Path, tmp_path: Path
) -> None:
    assert main(["minimize", str(program), "-o", str(tmp_path / "x")]) == 2
    assert "nothing to minimize" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_explain_shows_each_operation(
    capsys: pytest.CaptureFixture[str], program: Path, broken: str
) -> None:
    assert main(["explain", str(program), "--right", broken]) == 1
    shown = capsys.readouterr().out
    assert "vcpu0: read gfn=0x1" in shown
    assert "crash:" in shown


def test_corpus_show(capsys: pytest.CaptureFixture[str], program: Path) -> None:
    status, (one, all_) = run(capsys, "corpus", "show", str(program), str(program.parent))
    assert status == 0
    assert parse(one["text"]) == parse(TEXT)
    assert (all_["programs"], all_["operations"]) == (1, 3)


def test_variant_check(capsys: pytest.CaptureFixture[str], broken: str) -> None:
    patch = broken.partition("+")[2]
    status, document = run(capsys, "variant", "check", patch)
    assert status == 0
    assert document["applies"]
    assert document["files"] == [{"patch": patch, "file": "difffuzz/kvm/tdp_mmu.py", "hunks": 1}]


def test_variant_check_of_a_patch_that_does_not_apply(
    capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    patch = Path(broken.partition("+")[2])
    patch.write_text(patch.read_text().replace("     kvm_mmu_hugepage_adjust(", "     adjust("))
    assert main(["variant", "check", str(patch)]) == 2
    error = capsys.readouterr().err
    assert f"{patch}: difffuzz/kvm/tdp_mmu.py: hunk 1: line" in error


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    status, checks = run(capsys, "doctor")
    assert status == 0
    assert {"python", "atheris"} <= {check["name"] for check in checks if check["ok"]}
