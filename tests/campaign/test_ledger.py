# SPDX-License-Identifier: GPL-2.0-only
"""What workers did, in the database: counters that do not grow with time, history by points."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.campaign.database import Database
from difffuzz.campaign.history import read_history
from difffuzz.campaign.ledger import Ledger
from difffuzz.campaign.status import read_counts
from difffuzz.campaign.tally import Tally
from difffuzz.errors import MissingTool
from difffuzz.fuzz.operators import OperatorStats


def tally(number: int, inputs: int, state: str = "running", lane: str = "lockstep") -> Tally:
    return Tally(
        "0", number, lane, state=state, executions=inputs, oracles={"retry": inputs},
        operators={"splice": OperatorStats(inputs, inputs // 10)},
    )  # fmt: skip


def counts(database: Database) -> dict[str, tuple[int, int]]:
    return {one.name: (one.n, one.earned) for one in read_counts(database)}


def test_counters_of_those_who_are_over_are_added_up(tmp_path: Path) -> None:
    database = Database(tmp_path)
    ledger = Ledger(database, 0, 0)
    for number in range(20):
        ledger.write([tally(number, 5), tally(100, number, lane="other")])
        ledger.write([tally(number, 10, "ended")])
    assert counts(database) == {"retry": (219, 0), "splice": (219, 21)}
    assert database.one("SELECT count(DISTINCT worker) FROM counter") == 2
    assert database.one("SELECT count(*) FROM worker") == 21
    database.close()


def test_who_is_over_may_be_told_twice(tmp_path: Path) -> None:
    database = Database(tmp_path)
    ledger = Ledger(database, 0, 0)
    for _ in range(3):
        ledger.write([tally(0, 10, "ended"), tally(1, 20, "failed")])
        ledger.write([tally(2, 40, "ended")])
    assert counts(database) == {"retry": (70, 0), "splice": (70, 7)}
    database.close()


def test_what_could_not_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(tmp_path)
    ledger = Ledger(database, 0, 0)
    ledger.write([tally(0, 10, "ended"), tally(1, 10)])
    run = database.run

    def full(statement: str, values: object = ()) -> int:
        if statement.startswith("DELETE"):
            raise MissingTool("full", "df")
        return run(statement, values)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "run", full)
    with pytest.raises(MissingTool):
        ledger.write([tally(1, 30, "ended")])
    assert counts(database)["splice"] == (20, 2)
    monkeypatch.undo()
    ledger.write([tally(1, 30, "ended")])
    assert counts(database)["splice"] == (40, 4)
    database.close()


def put_samples(database: Database, count: int, lanes: tuple[str, ...]) -> None:
    for number in range(count):
        for place, lane in enumerate(lanes):
            if place and number < count // 2:
                continue  # a lane that is new later
            database.put(
                "sample", session=1 + 2 * number // count, at=number * 10.0, active=number * 10.0,
                lane=lane, executions=number * 100, operations=0, cpu=0.0, branches=number,
                states=place, corpus=number, findings=0,
            )  # fmt: skip


def test_history_has_the_last_sample_of_each_stretch(tmp_path: Path) -> None:
    database = Database(tmp_path)
    put_samples(database, 1000, ("a", "b"))
    every = read_history(database, points=2000)
    assert [one.active for one in every] == [number * 10.0 for number in range(1000)]
    assert [every[number].branches for number in (10, 499, 500, 999)] == [10, 499, 1000, 1998]
    assert [one.session for one in every] == [1] * 500 + [2] * 500
    few = read_history(database, "a", points=10)
    assert 10 <= len(few) <= 11
    assert few[-1].active == 9990
    assert all(one.executions_per_second == 10.0 for one in few[1:])
    part = read_history(database, "b", 5000, 5050)
    assert [one.active for one in part] == [5000, 5010, 5020, 5030, 5040, 5050]
    assert read_history(database, "c") == []
    assert read_history(database, begin=1e6) == []
    database.close()


def test_history_of_nobody(tmp_path: Path) -> None:
    database = Database(tmp_path)
    assert read_history(database) == []
    put_samples(database, 1, ("",))
    assert [one.active for one in read_history(database)] == [0.0]
    database.close()
