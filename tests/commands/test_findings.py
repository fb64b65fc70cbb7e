# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz findings`, and `--baseline`: from a run's folder to git and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from difffuzz.cli import main
from tests.fuzz.planted import plant_at_fault
from tests.triage.samples import BUG, OPS, finding_text, record, write

LEAK = "leak:tdp:end:pages"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder in which a run found something twice."""
    folder = tmp_path / "out"
    write(folder, "progress", finding_text())
    write(folder, "leak", finding_text(LEAK, ops=OPS + "vcpu0: read gfn=0x1\n"))
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = main(["findings", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_findings_of_a_run_are_listed(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, listed = run(capsys, "list", "--out", str(out))
    assert status == 0
    assert {one["signature"] for one in listed} == {LEAK, "progress:tdp:read:rets-1,1"}
    wanted = {"id", "signature", "state", "sides", "first_seen", "last_seen", "reliability"}
    for one in listed:
        assert wanted | {"program"} <= one.keys()
        assert one["sides"] == f"legacy/tdp+{BUG}"
        assert one["reliability"] == [1, 1]


def test_a_state_and_a_note_stay(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = record().id
    assert main(["findings", "state", found, "confirmed", "--out", str(out)]) == 0
    assert main(["findings", "note", found, "https://example.org/1", "--out", str(out)]) == 0
    capsys.readouterr()
    status, one = run(capsys, "show", found[:5], "--out", str(out))
    assert (status, one["state"]) == (0, "confirmed")
    assert [event["kind"] for event in one["history"]] == ["found", "state", "link"]
    status, listed = run(capsys, "list", "--state", "new", "--out", str(out))
    assert [one["signature"] for one in listed] == [LEAK]


def test_a_retest_says_what_shows(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of the two is made up: it does not show."""
    status, results = run(capsys, "retest", "--out", str(out))
    assert status == 1
    assert {one["signature"]: (one["retest"], one["state"]) for one in results} == {
        "progress:tdp:read:rets-1,1": ("shows", "new"),
        LEAK: ("gone", "fixed"),
    }
    status, results = run(capsys, "retest", record(finding_text(LEAK)).id, "--out", str(out))
    assert status == 0


def test_a_store_does_not_run_a_patch_that_it_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patch = plant_at_fault(tmp_path, "fault.write")
    text = finding_text(right=f"tdp+{patch}")
    write(tmp_path / "out", "one", text)
    status, [result] = run(capsys, "retest", "--out", str(tmp_path / "out"))
    assert (status, result["retest"]) == (2, "error")
    assert "--trust-notes" in result["error"]
    status, [result] = run(capsys, "retest", "--trust-notes", "--out", str(tmp_path / "out"))
    assert (status, result["retest"]) == (0, "gone")


def test_findings_go_through_git(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "findings.jsonl"
    assert main(["findings", "export", "--out", str(out), "-o", str(lines)]) == 0
    other = tmp_path / "other"
    assert main(["findings", "import", str(lines), "--out", str(other)]) == 0
    assert main(["findings", "import", str(lines), "--out", str(other)]) == 0
    capsys.readouterr()
    mine, theirs = (run(capsys, "list", "--out", str(place))[1] for place in (out, other))
    assert mine == theirs
    assert main(["findings", "export", "--out", str(other)]) == 0
    assert capsys.readouterr().out == lines.read_text()


SECRET = ("signature", "program", "detail", "history", "left", "right", "progress:tdp:read")


def test_an_embargoed_finding_shows_id_oracle_and_date_only(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = record().id
    assert main(["findings", "state", found, "embargoed", "--out", str(out)]) == 0
    capsys.readouterr()
    for command in (["list"], ["show", found], ["export", found]):
        for form in ([], ["--json"]) if command[0] != "export" else ([],):
            assert main(["findings", *command, *form, "--out", str(out)]) == 0
            text = capsys.readouterr().out
            shown = [line for line in text.splitlines() if found in line] if not form else [text]
            assert shown
            if command[0] == "list" and form:
                shown = [json.dumps(next(one for one in json.loads(text) if one["id"] == found))]
            assert not any(word in line for word in SECRET for line in shown)
    assert main(["findings", "export", "--baseline", found, "--out", str(out)]) == 0
    assert "progress" not in capsys.readouterr().out
    assert not list((out / "findings").glob("progress*"))
    assert (out / "embargoed" / ".gitignore").read_text() == "*\n"
    assert main(["findings", "state", found, "new", "--out", str(out)]) == 0
    capsys.readouterr()
    assert run(capsys, "show", found, "--out", str(out))[1]["program"] == finding_text()


WRONG = {
    "no id begins so": ["show", "ffff"],
    "no folder": ["list", "--out", "nowhere"],
    "no file": ["import", "nowhere.jsonl"],
    "no state": ["state", "ffff", "pondered"],
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_use_is_one_line(
    out: Path, what: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out.parent)
    assert main(["findings", *WRONG[what]]) == 2
    assert capsys.readouterr().err.count("\n") == 1


LINES = {
    "no json": "{",
    "deep": "[" * 100_000,
    "no finding": '{"id": "x"}',
    "other id": "",
    "no program": "",
}


@pytest.mark.parametrize("what", LINES)
def test_what_is_no_finding_is_refused_with_its_line(
    out: Path, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "findings.jsonl"
    assert main(["findings", "export", record().id, "--out", str(out), "-o", str(lines)]) == 0
    capsys.readouterr()
    good = lines.read_text()
    document = json.loads(good)
    changes = {"other id": {"id": "0" * 10}, "no program": {"program": "nonsense"}}
    bad = json.dumps(document | changes[what]) if what in changes else LINES[what]
    lines.write_text(good + bad + "\n")
    assert main(["findings", "import", str(lines), "--out", str(tmp_path / "new")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"difffuzz: {lines}:2: ")
    assert said.count("\n") == 1


def test_what_a_baseline_explains_is_counted_and_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, known = tmp_path / "corpus", tmp_path / "known.toml"
    corpus.mkdir()
    (corpus / "one.difffuzz").write_text(finding_text())
    fuzz = ["fuzz", "--right", f"tdp+{BUG}", "--mode", "lockstep", "--corpus", str(corpus)]
    fuzz += ["--runs", "20", "--seed", "1", "--json"]
    first, second = tmp_path / "first", tmp_path / "second"
    assert main([*fuzz, "--out", str(first)]) == 1
    told = {one["signature"] for one in json.loads(capsys.readouterr().out)["findings"]}
    assert main(["findings", "export", "--baseline", "--out", str(first), "-o", str(known)]) == 0
    capsys.readouterr()
    assert main([*fuzz, "--out", str(second), "--baseline", str(known)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["findings"] == []
    assert told == set(document["explained"])
    stored = run(capsys, "list", "--out", str(second))[1]
    assert {one["signature"]: one["state"] for one in stored} == dict.fromkeys(told, "known")
