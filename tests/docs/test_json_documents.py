# SPDX-License-Identifier: GPL-2.0-only
"""Commands print with --json what the schema of the manual says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.main import get_command

from difffuzz import cli
from difffuzz.campaign.status import Status
from difffuzz.fuzz.stats import Summary
from difffuzz.manual.documents import DOCUMENTS
from tests.docs.valid import valid
from tests.native.kernel import NAME, built
from tests.trace.written import STALE
from tests.triage.samples import finding_text, record, write

from .test_pages import leaves

ROOT = Path(__file__).resolve().parents[2]
REFACTOR = ROOT / "difffuzz" / "variants" / "refactors" / "joined-handler.patch"
ELSEWHERE = {
    "review": "tests/native/test_review.py",
    "findings bisect": "tests/native",
    "findings confirm": "tests/booted/test_confirm.py",
    "kernel replay": "tests/booted/test_run.py",
    "kernel fuzz": "tests/booted/test_judge.py",
    "kernel run": "tests/booted/test_run.py",
    "kernel selftest": "tests/booted/test_selftests.py",
    "kernel conform": "tests/booted/test_conform.py",
}
"""Commands whose documents other tests check, since it takes them long to make one."""
LINES = {
    "fuzz": "--runs 20 --seed 1 --corpus SMALL --out OUT",
    "smoke": "--runs 5 --time 8 --corpus SMALL --out OUT",
    "campaign run": "CAMPAIGN --jobs 1 --time 1",
    "campaign status": "CAMPAIGN",
    "campaign report": "CAMPAIGN",
    "replay": "FINDING SAME NONE",
    "minimize": "FINDING -o SMALLER",
    "explain": "FINDING",
    "explore": "RACED --preemptions 1 --out OUT",
    "doctor": "",
    "corpus show": "SAME SMALL",
    "corpus minimize": "SMALL -o OUT",
    "corpus merge": "SMALL -o OUT",
    "corpus sweep": "SMALL --time 5 --out OUT",
    "corpus import": "PACKED -o OUT",
    "judge": "TRACED",
    "findings list": "--out FOUND",
    "findings show": "ID --out FOUND",
    "findings retest": "--out FOUND",
    "bugs list": "",
    "bugs show": "edb298c663fc",
    "bugs hunt": "ed5e484b79e8 --budget 1 --corpus SMALL --out OUT --seed 1",
    "variant check": "PATCH",
    "variant diff": "base PATCH SAME --runs 3 --schedules 1 --explored 1 --out OUT",
    "native doctor": "",
    "kernel doctor": "",
    "native build": "--name BUILD",
    "native conform": "SAME --name BUILD --runs 5 --schedules 2 --out OUT",
}
SAME = "difffuzz program v1\nslot 0 as=0 gfn=0x0 pages=0x8 area=1 page=0x0\nvcpu0: write gfn=0x1\n"
RACED = """difffuzz program v1
# left: legacy
# right: tdp+d02c357e5bfa
slot 0 as=0 gfn=0x0 pages=0x1 area=0 page=0x0
vcpu0: read gfn=0x0
host0: dontneed area=0 page=0x0 n=0x1
"""


@pytest.fixture
def places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, str]:
    """What the words in capitals stand for."""
    monkeypatch.chdir(tmp_path)
    small = tmp_path / "small" / "seeds"
    small.mkdir(parents=True)
    for folder, name, text in (
        (small, "one", SAME),
        (tmp_path, "same", SAME),
        (tmp_path, "finding", finding_text()),
        (tmp_path, "raced", RACED),
        (tmp_path, "traced", STALE),
    ):
        (folder / f"{name}.difffuzz").write_text(text)
    (tmp_path / "none.difffuzz").write_text("none\n")
    write(tmp_path / "found", "one", finding_text())
    hidden = finding_text("leak:tdp:end:pages")
    write(tmp_path / "found", "two", hidden)
    embargo = ["findings", "state", record(hidden).id, "embargoed", "--out", "found"]
    assert cli.main(embargo) == 0
    assert cli.main(["corpus", "export", "small", "-o", "packed.tar.gz"]) == 0
    capsys.readouterr()
    return {
        "SMALL": "small",
        "SMALLER": "smaller.difffuzz",
        "SAME": "same.difffuzz",
        "NONE": "none.difffuzz",
        "FINDING": "finding.difffuzz",
        "RACED": "raced.difffuzz",
        "TRACED": "traced.difffuzz",
        "PACKED": "packed.tar.gz",
        "FOUND": "found",
        "CAMPAIGN": "campaign",
        "ID": record().id,
        "OUT": "out",
        "PATCH": str(REFACTOR),
        "BUILD": NAME,
    }


def printed(command: str, places: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Any:
    """The document that a command prints."""
    if "BUILD" in LINES[command]:
        built()
    if command.startswith("campaign"):
        assert cli.main(["campaign", "init", "campaign"]) == 0
    if command in ("campaign status", "campaign report"):
        assert cli.main(["campaign", "run", "campaign", "--jobs", "1", "--time", "1"]) == 0
        capsys.readouterr()
    words = [places.get(word, word) for word in LINES[command].split()]
    status = cli.main([*command.split(), *words, "--json"])
    said = capsys.readouterr()
    assert status in (0, 1, 2, 3), said.err
    return json.loads(said.out)


def test_every_document_has_a_schema() -> None:
    commands = dict(leaves(get_command(cli.app)))
    printing = {
        words.removeprefix("difffuzz ")
        for words, command in commands.items()
        if any("--json" in option.opts for option in command.params)
    }
    assert printing == set(DOCUMENTS) == set(LINES) | set(ELSEWHERE)


@pytest.mark.parametrize("command", LINES)
def test_a_document_is_as_its_schema_says(
    command: str, places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    document = printed(command, places, capsys)
    assert document
    valid(command, document)
    one = document[0] if isinstance(document, list) else document
    # Figures of a run may become more: its schema takes members that it does not know.
    figures = DOCUMENTS[command] in (Summary, Status)
    other = {**one, "seconds": "x"} if figures else {**one, "no_such_member": 1}
    wrong = [other] if isinstance(document, list) else other
    with pytest.raises(jsonschema.ValidationError):
        valid(command, wrong)


def test_divergences_and_embargoes_are_among_them(
    places: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    replayed = printed("replay", places, capsys)
    assert [one["verdict"] for one in replayed] == ["divergence", "same", "error"]
    assert printed("explain", places, capsys)["divergences"]
    assert printed("explore", places, capsys)["divergences"]
    assert {one["state"] for one in printed("findings list", places, capsys)} == {
        "new",
        "embargoed",
    }
