# SPDX-License-Identifier: GPL-2.0-only
"""Findings of a campaign: new ones once, known ones quietly, none lost with a damaged store."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.campaign.finds import Finds
from difffuzz.errors import UsageError
from difffuzz.program import parse
from difffuzz.triage.record import State
from difffuzz.triage.store import Store

from .fakes import PROGRAM, put_finding

OTHER = parse(
    "difffuzz program v1\nslot 0 as=0 gfn=0x0 pages=0x8 area=1 page=0x0\nvcpu0: exec gfn=0x2\n"
)


def test_each_finding_is_new_once(tmp_path: Path) -> None:
    finds = Finds(tmp_path, "")
    assert finds.look() == []
    put_finding(tmp_path, "leak:tdp:a")
    assert [one.signature for one in finds.look()] == ["leak:tdp:a"]
    assert finds.look() == []
    put_finding(tmp_path, "leak:tdp:b", OTHER)
    put_finding(tmp_path, "leak:tdp:c")
    assert [one.signature for one in finds.look()] == ["leak:tdp:b", "leak:tdp:c"]
    assert finds.bugs() == 2  # a and c are shrunk to the same
    finds.close()


def test_what_a_baseline_explains_is_no_news(tmp_path: Path) -> None:
    (tmp_path / "known.toml").write_text('[[known]]\nsignature = "leak:tdp:a"\n')
    finds = Finds(tmp_path, "known.toml")
    put_finding(tmp_path, "leak:tdp:a")
    put_finding(tmp_path, "leak:tdp:b", OTHER)
    assert {one.signature: one.state for one in finds.look()} == {
        "leak:tdp:a": State.KNOWN,
        "leak:tdp:b": State.NEW,
    }
    assert finds.bugs() == 1
    finds.close()


def test_a_baseline_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"known\.toml: No such file"):
        Finds(tmp_path, "known.toml")


def test_a_damaged_store_comes_back_with_states_and_notes(tmp_path: Path) -> None:
    put_finding(tmp_path, "leak:tdp:a")
    put_finding(tmp_path, "leak:tdp:b", OTHER)
    finds = Finds(tmp_path, "")
    with Store(tmp_path) as store:
        record = store.get(finds.records[0].id)
        record.state = State.CONFIRMED
        store.put(record)
    finds.refresh()
    put_finding(tmp_path, "leak:tdp:c", PROGRAM)
    finds.look()
    finds.close()
    path = tmp_path / "findings.db"
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)
    (tmp_path / "findings.db-wal").unlink(missing_ok=True)
    again = Finds(tmp_path, "")
    assert "set aside as findings.db.damaged-1, 3 findings came back" in again.said
    states = {one.signature: one.state for one in again.records}
    assert states[record.signature] is State.CONFIRMED
    assert len(states) == 3
    again.close()
