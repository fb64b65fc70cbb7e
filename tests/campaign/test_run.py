# SPDX-License-Identifier: GPL-2.0-only
"""Whole campaigns, with worker processes, from the command line."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from difffuzz.campaign.config import Lane, read_config
from difffuzz.campaign.crew import Crew
from difffuzz.campaign.database import Database
from difffuzz.campaign.measuring import main as measure
from difffuzz.campaign.native_lines import passed
from difffuzz.campaign.reached import Reached, model_lines
from difffuzz.campaign.status import read_status
from difffuzz.cli import main
from difffuzz.measure.campaigns.deaths import Campaign, kill_one
from difffuzz.measure.campaigns.processes import left_over
from tests.hostile.full_disk import give_back, mounted, use_up

from .fakes import FakeFleet, new_folder, supervised

BUG = "b3e6212dea2e"
"""Of the catalogue; found within a few programs."""


def buggy(folder: Path, **settings: object) -> Path:
    new_folder(folder, **settings)
    path = folder / "campaign.toml"
    path.write_text(path.read_text().replace('right = "tdp"', f'right = "tdp+{BUG}"'))
    return folder


def test_a_campaign_from_its_first_run_to_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(buggy(tmp_path))
    campaign = Campaign(tmp_path)
    try:
        campaign.start()
        campaign.wait_for(lambda: read_status(tmp_path).findings > 0, "finding")
        campaign.wait_for(lambda: read_status(tmp_path).lanes[0].branches > 1000, "coverage")
        assert main(["campaign", "run", folder]) == 2
        assert "works in this folder" in capsys.readouterr().err
        assert main(["campaign", "pause", folder]) == 0
        campaign.wait_for(lambda: read_status(tmp_path).state == "paused", "pause")
        assert main(["campaign", "resume", folder]) == 0
        campaign.wait_for(lambda: read_status(tmp_path).state == "running", "resumption")
        assert main(["campaign", "stop", folder]) == 0
        assert campaign.process is not None
        assert campaign.process.wait(100) == 1
    finally:
        campaign.kill()
    assert main(["campaign", "status", folder, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["state"] == "stopped"
    assert {"workers", "executions", "findings", "corpus", "coverage"} <= document.keys()
    assert document["sessions"][0]["how"] == "campaign stop"
    assert main(["campaign", "report", folder, "-o", str(tmp_path / "report.md")]) == 0
    report = (tmp_path / "report.md").read_text()
    assert "## Findings: " in report
    assert "translation:" in report
    assert "    difffuzz program v1" in report
    assert main(["findings", "list", "--out", folder]) == 0
    assert left_over(tmp_path) == []
    assert main(["campaign", "stop", folder]) == 2
    assert "no campaign runs there" in capsys.readouterr().err


def test_what_the_corpus_reaches_is_told_by_line(tmp_path: Path) -> None:
    folder = buggy(tmp_path)
    with supervised(folder, FakeFleet(), []):
        pass  # it has its first programs now
    database = Database(folder)
    database.run("DELETE FROM entry")  # as if they had come just now
    database.close()
    measure(str(folder), "--minimize")
    text = (folder / "cover" / "lockstep.json").read_bytes()
    files = {(one.tree, one.file): one for one in msgspec.json.decode(text, type=list[Reached])}
    plain, patched = files["model", "difffuzz/kvm/mmu.py"], files[BUG, "difffuzz/kvm/mmu.py"]
    for one in (plain, patched):
        reached = [line for line, at in one.lines.items() if at]
        assert 0 < len(reached) < len(one.lines)
        assert max(one.lines) <= len(one.source.splitlines())
    dropped = json.loads((folder / "cover" / "drop.json").read_text())
    names = {path.name for path in (folder / "corpus").iterdir()}
    assert set(dropped) < names
    assert dropped


def test_a_model_that_is_no_side_is_not_told_of() -> None:
    lane = Lane(name="patched", left=f"legacy+{BUG}", right=f"tdp+{BUG}")
    branches = [("difffuzz.kvm.mmu", 40), ("difffuzz.machine.mm", 30)]
    both = model_lines(lane, {0: 1.0, 1: 1.0}, branches)
    assert [one.file for one in both] == ["difffuzz/machine/mm.py"]
    one = model_lines(msgspec.structs.replace(lane, left="legacy"), {0: 1.0, 1: 1.0}, branches)
    assert [one.file for one in one] == ["difffuzz/kvm/mmu.py", "difffuzz/machine/mm.py"]


class Passed:
    """A library that tells of these places once."""

    def __init__(self, *places: int) -> None:
        self._places = list(places)

    def take_passed(self) -> list[int]:
        places, self._places = self._places, []
        return places


def test_what_either_copy_of_a_library_passed_counts() -> None:
    copies = [Passed(3, 1), Passed(2, 3)]
    assert passed(copies) == [1, 2, 3]
    assert passed(copies) == []


@pytest.mark.slow
def test_deaths_lose_nothing(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path)
    rng = random.Random(3)
    try:
        died = [kill_one(campaign, kind, rng) for kind in ("worker", "supervisor", "dashboard")]
        campaign.wait_for(lambda: bool(campaign.of("shrink")), "finding that is shrunk")
        died += [kill_one(campaign, kind, rng) for kind in ("shrink", "supervisor")]
        campaign.stop()
    finally:
        campaign.kill()
    assert died.count("supervisor") == 2
    assert died.count("dashboard") == 1
    assert died.count("worker") >= 1
    assert left_over(tmp_path) == []


def test_a_worker_that_cannot_start_is_tried_later_and_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_folder(tmp_path)
    config = read_config(folder)
    crew = Crew(folder, config, ["0"])
    crew.prepare()
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setattr("sys.executable", "/no/such/interpreter")
    crew.assign("0", config.lane[0])
    (tally,) = crew.poll()
    assert tally.state == "failed"
    assert "a worker cannot start" in tally.failure
    post = crew._posts["0"]
    waits = [post.again_at]
    for _ in range(3):
        post.again_at = 0.0
        crew.poll()  # starts
        crew.poll()  # fails
        waits.append(post.again_at)
    gaps = [round(after - before) for before, after in pairwise(waits)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 3
    crew.kill()


def test_a_worker_that_is_killed_comes_back(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    config = read_config(folder)
    crew = Crew(folder, config, ["0"])
    crew.prepare()
    try:
        crew.assign("0", config.lane[0])
        (first,) = crew.poll()
        os.kill(first.pid, signal.SIGKILL)
        seen = {first.pid}
        while len(seen) < 2:
            seen |= {one.pid for one in crew.poll() if one.pid}
    finally:
        crew.kill()


@pytest.mark.parametrize("options", ["nr_inodes=2000,size=64m", "nr_inodes=100000,size=16m"])
def test_a_disk_that_gets_full_stops_workers_until_there_is_room(
    tmp_path: Path, options: str
) -> None:
    with mounted(tmp_path / "disk", options) as disk:
        folder = buggy(disk / "c")
        campaign = Campaign(folder)
        try:
            campaign.start()
            use_up(disk)
            said = folder / "said.log"
            campaign.wait_for(lambda: "paused: " in said.read_text(), "pause")
            give_back(disk)
            campaign.wait_for(lambda: "resumed: " in said.read_text(), "resumption")
            campaign.stop()
        finally:
            if campaign.process is not None:
                campaign.process.kill()
                campaign.process.wait()
        assert main(["campaign", "status", str(folder)]) == 0


def test_a_folder_on_a_read_only_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mounted(tmp_path / "disk", "size=16m") as disk:
        folder = new_folder(disk / "c")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert main(["campaign", "run", str(folder), "--time", "1"]) == 3
        said = capsys.readouterr().err
        assert said.startswith(f"difffuzz: {folder}: Read-only file system: run 'ls -ld ")
        assert said.count("\n") == 1
