# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz explore`, and what the other commands do with a schedule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.sched.series import SERIES
from difffuzz.variants.catalogue import find

RACE = """\
difffuzz program v1
slot 0 gfn=0x0 pages=0x400 area=1
vcpu0: write gfn=0x1
host0: dontneed area=1 page=0 n=4
"""


@pytest.fixture
def race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "race.difffuzz"
    file.write_text(RACE)
    return file


def test_the_base_is_quiet_and_the_search_complete(
    race: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", str(race), "--preemptions", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["complete"]
    assert found["divergences"] == []
    assert found["schedules"] > 10


def test_a_bug_comes_with_a_schedule_that_replays(
    race: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = f"tdp+{find('d02c357e5bfa').patch}"
    out = tmp_path / "shown.difffuzz"
    command = ["explore", str(race), "--preemptions", "1", "--right", right, "--json"]
    assert main([*command, "--first", "-o", str(out)]) == 1
    found = json.loads(capsys.readouterr().out)
    shown = found["divergences"][0]
    assert {"oracle", "signature", "detail", "schedule"} <= shown.keys()
    assert f"schedule {shown['schedule']}" in out.read_text()
    assert main(["replay", str(out), "--json"]) == 1
    again = json.loads(capsys.readouterr().out)[0]
    assert again["mode"] == "concurrent"
    assert again["divergences"][0]["signature"] == shown["signature"]
    smaller = tmp_path / "small.difffuzz"
    assert main(["minimize", str(out), "-o", str(smaller), "--time", "5"]) == 0
    capsys.readouterr()
    assert main(["replay", str(smaller)]) == 1


@pytest.mark.parametrize("strategy", SERIES)
def test_a_strategy_that_draws_shows_the_bug_and_the_schedule_replays(
    strategy: str, race: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = f"tdp+{find('d02c357e5bfa').patch}"
    out = tmp_path / "shown.difffuzz"
    command = ["explore", str(race), "--strategy", strategy, "--schedules", "25", "--json"]
    patched = [*command, "--first", "--right", right, "-o", str(out), "--seed", "3"]
    assert main(patched) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["strategy"] == strategy
    assert not found["complete"]
    assert main(["replay", str(out), "--json"]) == 1
    again = json.loads(capsys.readouterr().out)[0]
    assert again["divergences"][0]["signature"] == found["divergences"][0]["signature"]
    assert main(patched) == 1
    assert json.loads(capsys.readouterr().out)["schedules"] == found["schedules"]
    assert main(command) == 0
    quiet = json.loads(capsys.readouterr().out)
    assert (quiet["schedules"], quiet["divergences"]) == (50, [])


@pytest.mark.parametrize(
    "options", [["--strategy", "nonsense"], ["--strategy", "pos", "--there-and-back"]]
)
def test_a_strategy_that_is_none_is_wrong_use(
    options: list[str], race: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", str(race), *options]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("left", ["spec", "nonsense"])
def test_a_side_without_threads_is_wrong_use(
    left: str, race: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explore", str(race), "--left", left]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_fuzzing_concurrently_finds_a_race_and_keeps_its_schedule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = f"tdp+{find('d02c357e5bfa').patch}"
    command = ["fuzz", "--mode", "concurrent", "--right", right, "--runs", "1500", "--seed", "1"]
    command += ["--out", str(tmp_path / "out"), "--stop-on-finding", "--json"]
    assert main(command) == 1
    finding = json.loads(capsys.readouterr().out)["findings"][0]
    text = Path(finding["program"]).read_text()
    assert "# mode: concurrent" in text
    assert main(["replay", finding["program"], "--json"]) == 1
    again = json.loads(capsys.readouterr().out)[0]
    assert again["divergences"][0]["signature"] == finding["signature"]
