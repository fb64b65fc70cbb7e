# SPDX-License-Identifier: GPL-2.0-only
"""What a run does with what its fleet brings, and with a world that does not keep still."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from difffuzz.campaign import supervisor as module
from difffuzz.campaign.database import Database
from difffuzz.campaign.status import read_status
from difffuzz.campaign.tally import Tally
from difffuzz.errors import MissingTool, UsageError
from difffuzz.fuzz.news import News, input_name
from difffuzz.fuzz.operators import OperatorStats
from difffuzz.triage.store import Store

from .fakes import FakeFleet, new_folder, put_entry, put_finding, supervised

SEEDS = 128
"""Programs that a campaign without any begins with."""
TALLY = Tally(
    "0",
    0,
    "lockstep",
    pid=77,
    executions=100,
    operations=900,
    cpu=2.0,
    branches=50,
    states=20,
    operators={"insert": OperatorStats(10, 2)},
    phrases={"parked": OperatorStats(5, 1)},
    ways={"PCT": OperatorStats(3, 0)},
    oracles={"leak": 1},
    allowed={"nx-split": 4},
)


def wish(folder: Path, what: str) -> None:
    database = Database(folder)
    database.put("wish", at=0.0, what=what)
    database.close()


def test_every_place_gets_a_lane_and_keeps_it_for_a_turn(tmp_path: Path) -> None:
    fleet = FakeFleet()
    with supervised(new_folder(tmp_path, turn=1000.0), fleet, []) as run:
        for _ in range(3):
            assert run.poll()
    assert [place for place, _ in fleet.assigned] == ["0", "1"]
    assert len({lane for _, lane in fleet.assigned}) == 2
    assert fleet.killed


def test_figures_are_written_and_add_up_over_sessions(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    for session in (1, 2):
        fleet = FakeFleet()
        with supervised(folder, fleet, []) as run:
            fleet.tallies = [TALLY]
            run.poll()
            put_entry(folder, b"entry %d" % session)
            run.finish()
        status = read_status(folder)
        assert status.state == "stopped"
        assert status.executions == 100 * session
        assert status.coverage == 70
        assert status.corpus == SEEDS + session
        assert [one.how for one in status.sessions] == ["stopped"] * session
    assert [one.programs for one in status.sessions] == [SEEDS, SEEDS + 1]
    counts = {(one.kind, one.name): (one.n, one.earned) for one in status.counts}
    assert counts == {
        ("operator", "insert"): (20, 4),
        ("phrase", "parked"): (10, 2),
        ("way", "PCT"): (6, 0),
        ("oracle", "leak"): (2, 0),
        ("allowed", "nx-split"): (8, 0),
    }


def test_news_tell_where_an_entry_comes_from(tmp_path: Path) -> None:
    folder, fleet = new_folder(tmp_path), FakeFleet()
    with supervised(folder, fleet, []) as run:
        news = News(input_name(b"child"), 3.0, 2, ("p",), ("insert",), (), "PCT")
        fleet.tallies = [Tally("0", 0, "races", news=[news])]
        put_entry(folder, b"child")
        run.poll()
        run.finish()
    database = Database(folder, reading=True)
    (row,) = database.rows("SELECT * FROM entry WHERE features > 0")
    assert (row["lane"], row["parents"], row["operators"]) == ("races", '["p"]', '["insert"]')
    database.close()


def test_a_finding_is_told_once_and_stored(tmp_path: Path) -> None:
    folder, fleet, said = new_folder(tmp_path), FakeFleet(), list[str]()
    with supervised(folder, fleet, said) as run:
        put_finding(folder, "leak:tdp:destroy:page", shrunk="it is")
        run._next_scan = 0.0
        run.poll()
        run.finish()
    assert len([line for line in said if line.startswith("finding: ")]) == 1
    with Store(folder) as store:
        assert [one.signature for one in store.all()] == ["leak:tdp:destroy:page"]
    with supervised(folder, FakeFleet(), said) as run:
        run.poll()
    assert said[-1] == f"start: {SEEDS} programs, 1 findings are there"
    assert read_status(folder).findings == 1


def test_a_file_s_notes_choose_among_the_sides_of_the_lanes_only(tmp_path: Path) -> None:
    """A finding that somebody has put there is data: what it names is not run."""
    folder = new_folder(tmp_path)
    with supervised(folder, FakeFleet(), []) as run:
        put_finding(folder, "leak:tdp:evil", right="tdp+/tmp/evil.patch")
        put_finding(folder, "leak:tdp:mine")
        run.chores.look_for_findings()
        assert [one.subject and one.subject.name[:13] for one in run.chores._waiting] == [
            "leak-tdp-mine"
        ]


def test_pause_resume_and_stop(tmp_path: Path) -> None:
    folder, fleet = new_folder(tmp_path), FakeFleet()
    with supervised(folder, fleet, []) as run:
        assert run.poll()
        wish(folder, "pause")
        assert run.poll()
        assert (fleet.paused, run.state) == ([True], "paused")
        wish(folder, "pause")
        assert run.poll()
        wish(folder, "resume")
        assert run.poll()
        assert (fleet.paused, run.state) == ([True, False], "running")
        wish(folder, "stop")
        assert not run.poll()
        run.finish()
    assert fleet.stopped
    assert read_status(folder).sessions[0].how == "campaign stop"
    with supervised(folder, FakeFleet(), []) as run:
        assert run.poll(), "a wish is of one run"


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    with (
        supervised(folder, FakeFleet(), []),
        pytest.raises(UsageError, match=rf"process {os.getpid()} works in this folder"),
        supervised(folder, FakeFleet(), []),
    ):
        pass


def test_a_run_that_ended_without_a_word_is_told_of(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    with supervised(folder, FakeFleet(), []) as run:
        run.poll()
    assert read_status(folder).state == "killed"


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
def test_a_jump_of_the_clock_is_told_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    folder, fleet, said = new_folder(tmp_path, time=1000.0), FakeFleet(), list[str]()
    real = time.time
    with supervised(folder, fleet, said) as run:
        assert run.poll()
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        run._next_figures = run._next_sample = 0.0
        put_entry(folder, b"meanwhile")
        fleet.tallies = [TALLY]
        run._next_scan = 0.0
        assert run.poll()
        run._next_figures = 0.0
        assert run.poll()
        assert len(run.entries) == SEEDS + 1
        run.finish()
    assert [line for line in said if "clock" in line] == [
        f"clock: the clock jumped by {jump:+.0f} s"
    ]
    status = read_status(folder)
    assert 0 <= status.seconds < 60
    assert status.executions == 100
    assert status.quiet_seconds >= 0


def test_workers_wait_where_the_disk_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fleet, said = new_folder(tmp_path), FakeFleet(), list[str]()
    with supervised(folder, fleet, said) as run:
        monkeypatch.setattr(module, "no_room", lambda folder: "3 files are left")
        run._next_figures = 0.0
        assert run.poll()
        assert (fleet.paused, said[-1]) == ([True], "paused: room: 3 files are left")
        monkeypatch.setattr(module, "no_room", lambda folder: "")
        run._next_figures = 0.0
        assert run.poll()
        assert (fleet.paused, said[-1]) == ([True, False], "resumed: room")


def test_what_cannot_be_written_now_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fleet, said = new_folder(tmp_path), FakeFleet(), list[str]()
    with supervised(folder, fleet, said) as run:
        put_entry(folder, b"later")
        run._next_scan = 0.0

        def full() -> int:
            raise OSError(28, "No space left on device", "corpus")

        with monkeypatch.context() as patch:
            patch.setattr(run.entries, "take_in", full)
            assert run.poll()
        assert "paused: disk: [Errno 28] No space left on device: 'corpus'" in said
        assert fleet.paused == [True]
        run._next_scan = 0.0
        assert run.poll()
        assert fleet.paused == [True, False]
        assert len(run.entries) == SEEDS + 1


def test_a_folder_that_somebody_removed_ends_the_run(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    with supervised(folder, FakeFleet(), []) as run:
        (folder / "work").rename(folder / "elsewhere")
        with pytest.raises(MissingTool, match="was removed while the run used it"):
            run.poll()


def test_failures_and_restarts_are_events(tmp_path: Path) -> None:
    folder, fleet, said = new_folder(tmp_path), FakeFleet(), list[str]()
    with supervised(folder, fleet, said) as run:
        fleet.tallies = [Tally("0", 0, "lockstep", restarts=1)]
        run.poll()
        fleet.tallies = [Tally("0", 0, "lockstep", state="failed", failure="no memory")]
        run.poll()
    assert "restart: worker 0 in lane lockstep died, started again" in said
    assert "failure: worker 0 in lane lockstep: no memory" in said
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [one["event"] for one in lines] == ["start", "restart", "failure"]


def test_what_a_minimisation_drops_goes(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    for data in (b"a", b"b", b"c"):
        put_entry(folder, data)
    with supervised(folder, FakeFleet(), []) as run:
        (folder / "cover").mkdir()
        (folder / "cover" / "drop.json").write_text(json.dumps([input_name(b"a"), "no-such"]))
        run._drop()
        assert len(run.entries) == 2
    assert {path.name for path in (folder / "corpus").iterdir()} == {
        input_name(b"b"),
        input_name(b"c"),
    }


def test_a_database_that_breaks_while_it_runs_ends_the_run_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, said = new_folder(tmp_path), list[str]()
    with supervised(folder, FakeFleet(), said) as run:
        put_entry(folder, b"meanwhile")
        path = folder / "campaign.db"
        run.ledger._database.run("PRAGMA wal_checkpoint(TRUNCATE)")
        path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))
        run.ledger._database.db.execute("PRAGMA shrink_memory")
        run._next_scan = run._next_figures = 0.0
        with pytest.raises(MissingTool, match=r"campaign\.db is damaged: .* campaign run "):
            run.poll()
    with supervised(folder, FakeFleet(), said) as run:
        assert len(run.entries) == SEEDS + 1
    assert any("set aside as campaign.db.damaged-1" in line for line in said)
