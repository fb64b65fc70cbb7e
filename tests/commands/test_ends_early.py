# SPDX-License-Identifier: GPL-2.0-only
"""Commands that may take long: a budget by default; its end and Ctrl-C give what there is."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from difffuzz.cli import main
from difffuzz.commands.progress import Progress
from difffuzz.program import parse
from difffuzz.variants.catalogue import find
from tests.fuzz.planted import plant_at_fault

from ..native.kernel import built

RACE = """\
difffuzz program v1
slot 0 gfn=0x0 pages=0x400 area=1
vcpu0: write gfn=0x1
host0: dontneed area=1 page=0 n=4
"""
LONG = "difffuzz program v1\nslot 0 gfn=0x0 pages=0x400 area=1\n" + "".join(
    f"vcpu0: write gfn={gfn:#x}\n" for gfn in range(12)
)
RACY = f"tdp+{find('d02c357e5bfa').patch}"
MISSING_FLUSH = str(find("386d69f9f29b").patch)
EASY, HARD = find("47b0c2e4c220"), find("own-clear-log-edge")

PressKeys = Callable[..., None]


@pytest.fixture
def press(monkeypatch: pytest.MonkeyPatch) -> PressKeys:
    """press(text, times): Ctrl-C as soon as the progress has this text."""

    def arm(text: str, times: int = 1) -> None:
        left = times

        def show(self: Progress, line: str, screen: object = None) -> None:
            nonlocal left
            while left and text in line:
                left -= 1
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(Progress, "show", show)

    return arm


@pytest.fixture
def race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "race.difffuzz").write_text(RACE)
    (tmp_path / "long.difffuzz").write_text(LONG)
    return "race.difffuzz"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "command", ["bugs hunt", "explore", "variant diff", "minimize"], ids=lambda name: str(name)
)
def test_there_is_a_budget_of_seconds_by_default(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main([*command.split(), "--help"]) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "--time" in one]
    assert "Seconds" in line
    assert "[default: " in line


def test_a_search_that_is_interrupted_keeps_what_it_found(
    race: str, press: PressKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    press(" 1 divergences")
    status, found = run(capsys, "explore", race, "--right", RACY)
    assert status == 1
    assert found["interrupted"]
    assert not found["complete"]
    (one,) = found["divergences"]
    assert Path(one["program"]).parent == Path("out/explore")
    assert main(["replay", one["program"], "--right", RACY]) == 1
    assert one["signature"] in capsys.readouterr().out


def test_a_second_ctrl_c_ends_it_at_once_and_loses_nothing(
    race: str, press: PressKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    press(" 1 divergences", 2)
    assert main(["explore", race, "--right", RACY]) == 130
    assert capsys.readouterr().err == "difffuzz: interrupted\n"
    (kept,) = Path("out/explore").iterdir()
    assert main(["replay", str(kept), "--right", RACY]) == 1


def test_what_was_found_before_stays_as_it_is(
    race: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explore", race, "--right", RACY, "--first"]
    _, found = run(capsys, *command)
    kept = Path(found["divergences"][0]["program"])
    shrunk = kept.read_text() + "# shrunk by hand\n"
    kept.write_text(shrunk)
    assert main(command) == 1
    assert kept.read_text() == shrunk
    assert list(kept.parent.iterdir()) == [kept]


def test_what_nobody_is_to_see_yet_is_not_written_again(
    race: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explore", race, "--right", RACY, "--first"]
    _, found = run(capsys, *command)
    kept = Path(found["divergences"][0]["program"])
    Path("out/embargoed").mkdir()
    hidden = kept.rename(Path("out/embargoed") / kept.name)
    status, found = run(capsys, *command)
    assert (status, found["divergences"][0]["program"]) == (1, str(hidden))
    assert not kept.exists()


@pytest.mark.parametrize(("text", "why"), [("", "time is over"), (" 5 schedules", "interrupted")])
def test_a_search_says_why_it_is_not_complete(
    race: str, press: PressKeys, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    time = "0" if text else "1e-6"
    if text:
        press(text)
    assert main(["explore", race, "--time", time]) == 0
    said = capsys.readouterr().out
    assert f"not complete ({why}" in said
    # Of one side's search, or the first of each side's: no side goes without.
    assert said.startswith(f"{race}: {5 + 1 if text else 2} schedules")


def test_shrinking_that_is_interrupted_gives_the_smallest_so_far(
    race: str, press: PressKeys, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    right = f"tdp+{plant_at_fault(tmp_path, 'kvm.no_such_field += fault.write')}"
    command = ["minimize", "long.difffuzz", "--right", right]
    assert main([*command, "-o", "all.difffuzz", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert (whole["complete"], whole["interrupted"]) == (True, False)
    assert ", complete\n" in Path("all.difffuzz").read_text()
    assert main(["minimize", "all.difffuzz", "--right", right, "-o", "again.difffuzz"]) == 0
    assert Path("again.difffuzz").read_text() == Path("all.difffuzz").read_text()
    capsys.readouterr()
    press(f"{len(parse(LONG).ops)} of 12")
    status, part = run(capsys, *command, "-o", "new/some.difffuzz")
    assert status == 0
    assert (part["complete"], part["interrupted"]) == (False, True)
    assert whole["operations"] < part["operations"] <= 12
    assert ", not complete: it was stopped\n" in Path(part["program"]).read_text()
    assert main(["replay", part["program"], "--right", right]) == 1
    assert main([*command, "-o", "none.difffuzz", "--time", "0.1"]) == 0


def test_a_comparison_that_is_interrupted_keeps_its_differences(
    race: str, press: PressKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--runs", "300", "--schedules", "5", "--explored", "0"]
    press(" 1 differences")
    status, document = run(capsys, "variant", "diff", "base", MISSING_FLUSH, *few)
    assert status == 1
    assert (document["complete"], document["interrupted"]) == (False, True)
    (one,) = document["differences"]
    assert parse(Path(one["program"]).read_text()).ops
    press(" 1 differences", 2)
    assert main(["variant", "diff", "base", MISSING_FLUSH, *few, "--out", "second"]) == 130
    (kept,) = Path("second").iterdir()
    assert parse(kept.read_text()).ops


def test_a_comparison_gives_each_mmu_its_share_of_the_time(
    race: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["variant", "diff", "base", "base", "--runs", "50", "--time", "1e-6"]
    status, document = run(capsys, *command, race)
    assert status == 0
    assert document["programs"] == 2
    assert (document["complete"], document["interrupted"]) == (False, False)
    assert main([*command, race]) == 0
    assert "not all that was asked for: time is over" in capsys.readouterr().out


def test_a_comparison_of_builds_ends_early_too(
    race: str, press: PressKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [f"native:{built()}"] * 2
    press(": 4 programs")
    status, document = run(capsys, "variant", "diff", *both, "--runs", "50", race)
    assert status == 0
    assert document["programs"] == 4
    assert (document["complete"], document["interrupted"]) == (False, True)
    command = ["native", "conform", "--name", built(), "--runs", "50", "--time", "1e-6", race]
    assert main(command) == 0
    assert "not all that was asked for: time is over" in capsys.readouterr().out


def test_a_hunt_keeps_what_it_found(race: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bugs", "hunt", EASY.id, "--budget", "2000", "--seed", "1", "--corpus", "made"]
    status, (one,) = run(capsys, *command)
    assert status == 1
    assert Path("made").is_dir()
    assert not one["interrupted"]
    kept = Path(one["kept"])
    assert kept.parent == Path("out/hunt") / EASY.id
    assert parse(kept.read_text()) == parse(one["program"])
    assert all(path.suffix == ".difffuzz" for path in kept.parent.iterdir())
    assert main(["replay", str(kept)]) == 1  # its notes name the bug of the catalogue


def test_hunts_that_are_interrupted_say_which_there_were(
    race: str, press: PressKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    press(f"hunt {HARD.id}: ")
    assert main(["bugs", "hunt", HARD.id, EASY.id, "--json"]) == 0
    captured = capsys.readouterr()
    (one,) = json.loads(captured.out)
    assert (one["id"], one["found"], one["interrupted"]) == (HARD.id, False, True)
    assert "interrupted: 1 of 2 hunts" in captured.err


def test_a_corpus_that_is_missing_is_made_and_said(
    race: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fuzz", "--runs", "3", "--seed", "1", "--corpus", "deep/corpus"]) == 0
    assert "deep/corpus: made, it has no programs" in capsys.readouterr().err
    assert Path("deep/corpus").is_dir()
