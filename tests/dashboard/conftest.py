# SPDX-License-Identifier: GPL-2.0-only
"""A campaign that has run, without processes, and a browser that shows it, without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from difffuzz.campaign.database import Database
from difffuzz.campaign.measuring import COVER
from difffuzz.campaign.reached import Reached
from difffuzz.dashboard.access import Access, Hosts
from difffuzz.dashboard.app import Server, application
from difffuzz.dashboard.campaigns import open_campaigns
from difffuzz.files.notes import text_of
from difffuzz.fuzz.news import input_name
from difffuzz.program import encode, render
from difffuzz.triage.record import Event, Record, State, finding_id
from difffuzz.triage.store import Store

from ..campaign.fakes import PROGRAM, new_folder

HOW = "its time is over"
BEGIN = 1_750_000_000.0
CONTENT = encode(PROGRAM)
FIRST, SECOND, THIRD = (input_name(CONTENT + bytes([one])) for one in (1, 2, 3))
TEXT = render(PROGRAM)
SIGNATURES = ("retry:tdp:read", "warn:legacy:zap", "stale-access:tdp:secret")
IDS = [finding_id(one, "legacy", "tdp") for one in SIGNATURES]
SHOWN, SAME, HIDDEN = IDS
Browse = Callable[..., TestClient]


def fill(folder: Path) -> Path:
    """Two sessions of an hour, two lanes, three programs, three findings, a measured file."""
    new_folder(folder)
    database = Database(folder)
    for number in range(2):
        start = BEGIN + number * 10_000
        database.put(
            "session", started=start, ended=start + 3600 if number else None,
            how=HOW, active=3600.0, programs=number, findings=number, version="0.1.0",
        )  # fmt: skip
        worker = database.put(
            "worker", session=number + 1, place="0", lane="lockstep", pid=7, started=start,
            state="running", executions=1000, operations=20_000, cpu=60.0, branches=30, states=40,
            skipped=0, restarts=2, failure="",
        )  # fmt: skip
        counters = (("operator", "splice", 10, 5), ("phrase", "aged", 4, 1), ("way", "PCT", 8, 2),
                    ("oracle", "retry", 3, 0), ("allowed", "nx-split", 6, 0),
                    ("stability", "the same again", 100, 99))  # fmt: skip
        for kind, name, n, earned in counters:
            database.put("counter", worker=worker, kind=kind, name=name, n=n, earned=earned)
        for step in range(60):
            for lane, more in (("lockstep", 10), ("concurrent", 3)):
                active = number * 3600 + step * 60.0
                database.put(
                    "sample", session=number + 1, at=start + step * 60, active=active, lane=lane,
                    executions=int(active) * more, operations=int(active) * 100, cpu=active,
                    branches=100 + step, states=200 + step, corpus=step, findings=number + 1,
                )  # fmt: skip
        for lane, share in (("lockstep", 0.75), ("concurrent", 0.25)):
            database.put("share", active=number * 3600.0, lane=lane, share=share, rate=1.5, cpu=9.0)
    put_entry(database, 1, BEGIN)
    put_entry(database, 2, BEGIN + 10, parents=[FIRST], operators=["splice"])
    put_entry(database, 3, BEGIN + 20, parents=[SECOND], phrases=["aged"], lane="concurrent")
    database.tell("start", "227 programs, 0 findings are there")
    for name, signature in zip(IDS, SIGNATURES, strict=True):
        database.tell("finding", f"{name} {signature}")
    database.close()
    with Store(folder) as store:
        for signature in SIGNATURES:
            store.put(
                record_of(signature), Event("2026-01-01T00:00:00+00:00", "found", "by chance")
            )
    (folder / COVER).mkdir()
    put_cover(folder, "lockstep", {1: BEGIN, 2: 0.0, 4: BEGIN + 12_500})
    return folder


def put_entry(database: Database, number: int, at: float, **more: Any) -> None:
    """A program of the corpus; lists as they are."""
    content = CONTENT + bytes([number])
    values = {
        "lane": "lockstep",
        "parents": [],
        "operators": [],
        "phrases": [],
        "way": "PCT",
    } | more
    values |= {
        name: msgspec.json.encode(values[name]).decode()
        for name in ("parents", "operators", "phrases")
    }
    name = input_name(content)
    database.put(
        "entry", name=name, at=at, features=number, content=content, dropped=None, **values
    )


def record_of(signature: str, **more: Any) -> Record:
    """A finding; the second is the same bug as the first, the third is embargoed."""
    name = finding_id(signature, "legacy", "tdp")
    number = SIGNATURES.index(signature) if signature in SIGNATURES else 0
    values: dict[str, Any] = {
        "oracle": signature.partition(":")[0],
        "left": "legacy",
        "right": "tdp",
        "mode": "lockstep",
        "detail": "one side retries",
        "program": text_of(PROGRAM, {"signature": signature}),
        "state": State.EMBARGOED if number == 2 else State.NEW,
        "first_seen": "2026-01-01T00:00:00+00:00",
        "last_seen": "2026-01-02T00:00:00+00:00",
        "bug": SHOWN if number == 1 else name,
    }
    return Record(id=name, signature=signature, **values | more)


def put_cover(folder: Path, lane: str, lines: dict[int, float], tree: str = "model") -> None:
    """A measurement, of one file of four lines."""
    found = [Reached(tree, "difffuzz/kvm/mmu.py", "if a:\n  b()\n# c\nwhile d:", lines)]
    (folder / COVER / f"{lane}.json").write_bytes(msgspec.json.encode(found))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "weeks")


@pytest.fixture
def browse() -> Browse:
    """A browser that looks at these folders; `token`, `bound`, `names` as `serve` has them."""

    def make(
        *folders: Path, token: str = "", bound: str = "127.0.0.1", names: tuple[str, ...] = ()
    ) -> TestClient:
        server = Server(open_campaigns(folders), Access(token), Hosts(bound, names), lambda: True)
        return TestClient(application(server), "http://127.0.0.1:8080", follow_redirects=False)

    return make


@pytest.fixture
def client(folder: Path, browse: Browse) -> TestClient:
    return browse(folder)
