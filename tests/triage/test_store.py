# SPDX-License-Identifier: GPL-2.0-only
"""The store keeps what it is told, takes over what runs wrote, and refuses what is no store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from difffuzz.errors import MissingTool, UsageError
from difffuzz.triage.record import Event, State
from difffuzz.triage.store import FILE, Store
from tests.triage.samples import AT, OPS, finding_text, record, write

OTHER = "stale-access:tdp:write:freed"


def test_what_is_put_is_there_again(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.take(record())
    with Store(tmp_path) as store:
        [one] = store.all()
        one.state = State.KNOWN
        store.put(one, Event(AT, "note", "seen before"))
    with Store(tmp_path) as store:
        again = store.get(one.id[:4])
    assert again.state is State.KNOWN
    assert [event.kind for event in again.history] == ["found", "note"]
    assert again.program == finding_text()
    assert (again.shown, again.runs) == (1, 1)


def test_program_files_are_taken_over_once(tmp_path: Path) -> None:
    write(tmp_path, "one", finding_text())
    write(tmp_path, "other", finding_text(OTHER, ops=OPS + "vcpu0: read gfn=0x1\n"))
    write(tmp_path, "broken", "difffuzz program v1\nnonsense\n")
    write(tmp_path, "no-finding", f"difffuzz program v1\n{OPS}")
    with Store(tmp_path) as store:
        assert store.take_over() == 2
        assert store.take_over() == 0
        assert len(store.all()) == 2


def test_a_program_that_was_shrunk_since_takes_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, "one", finding_text(ops=OPS + "vcpu0: read gfn=0x1\n"))
    with Store(tmp_path) as store:
        store.take_over()
        path.write_text(finding_text())
        assert store.take_over() == 1
        [one] = store.all()
    assert one.program == finding_text()
    assert [event.text for event in one.history[1:]] == ["from 4 operations to 3"]


def test_why_shrinking_ended_is_in_the_history(tmp_path: Path) -> None:
    path = write(tmp_path, "one", finding_text(ops=OPS + "vcpu0: read gfn=0x1\n"))
    told = "from 4 operations to 3, not complete: its time is over"
    with Store(tmp_path) as store:
        store.take_over()
        first, _, rest = finding_text().partition("\n")
        path.write_text(f"{first}\n# shrunk: {told}\n# mode: lockstep\n{rest}")
        assert store.take_over() == 1
        [one] = store.all()
    assert (one.history[-1].kind, one.history[-1].text) == ("shrunk", told)
    assert one.mode == "lockstep"


def test_findings_of_the_same_operations_are_one_bug(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        first = record()
        store.take(first)
        store.take(record(finding_text(OTHER), at="2026-01-03T00:00:00+00:00"))
        store.take(record(finding_text("leak:tdp:end:pages", config="config seq_bias=2")))
        bugs = {one.signature: one.bug for one in store.all()}
    assert bugs[OTHER] == first.id
    assert bugs["leak:tdp:end:pages"] != first.id


def test_merging_joins_histories_and_keeps_the_newer_state(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    with Store(mine) as store:
        store.take(record())
        store.put(store.all()[0], Event(AT, "note", "mine"))
    with Store(theirs) as other:
        other.take(record(at="2026-02-02T00:00:00+00:00"))
        [one] = other.all()
        one.state = State.CONFIRMED
        other.put(one, Event(AT, "note", "theirs"))
        records = other.all()
    with Store(mine) as store:
        assert store.merge(records) == 0
        assert store.merge(records) == 0
        [joined] = store.all()
    assert joined.state is State.CONFIRMED
    assert sorted(event.text for event in joined.history if event.kind == "note") == [
        "mine",
        "theirs",
    ]


def test_what_is_embargoed_here_stays_so(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.take(record())
        [one] = store.all()
        one.state, one.program = State.EMBARGOED, ""
        store.put(one)
        assert store.merge([record(at="2030-01-01T00:00:00+00:00")]) == 0
        [kept] = store.all()
    assert (kept.state, kept.program) == (State.EMBARGOED, "")


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.take(record())
        one = store.all()[0]
        one.state = State.KNOWN
        bad = Event(AT, "note", None)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="NOT NULL"):
            store.put(one, bad)
        assert store.all()[0].state is State.NEW


def no_store(path: Path) -> None:
    path.write_bytes(b"this is no database " * 100)


def of_another_program(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE bookmark (url TEXT)")
    db.close()


def of_a_newer_version(path: Path) -> None:
    with Store(path.parent):
        pass
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.commit()
    db.close()


def cut_off(path: Path) -> None:
    with Store(path.parent) as store:
        store.take(record())
    path.write_bytes(path.read_bytes()[:5000])


def of_an_unknown_state(path: Path) -> None:
    with Store(path.parent) as store:
        store.take(record())
    db = sqlite3.connect(path)
    db.execute("UPDATE finding SET state = 'pondered'")
    db.commit()
    db.close()


BROKEN = {
    no_store: "no store of findings",
    of_another_program: "another program",
    of_a_newer_version: "version 7 of the store, this difffuzz knows 1",
    cut_off: "malformed|no store",
    of_an_unknown_state: "pondered",
}


@pytest.mark.parametrize("breaks", BROKEN, ids=lambda breaks: breaks.__name__)
def test_what_is_no_store_is_refused_in_one_line(tmp_path: Path, breaks: object) -> None:
    assert callable(breaks)
    breaks(tmp_path / FILE)
    with (
        pytest.raises((UsageError, MissingTool), match=BROKEN[breaks]) as caught,
        Store(tmp_path) as store,
    ):
        store.all()
    assert str(tmp_path / FILE) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_store_that_cannot_be_written_is_a_matter_of_the_machine(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.take(record())
        [pages] = store._db.execute("PRAGMA page_count").fetchone()
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        big = record(finding_text(OTHER))
        big.detail = "x" * 100_000
        with pytest.raises(MissingTool, match="full"):
            store.take(big)
        assert len(store.all()) == 1
