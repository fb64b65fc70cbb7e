# SPDX-License-Identifier: GPL-2.0-only
"""Makes a campaign's folder that is as large as one of weeks, to see what a dashboard makes of it.

Its programs, findings and figures are made up; names and texts are what nobody should trust.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Final

import msgspec

from ...campaign.config import write_config
from ...campaign.database import Database
from ...campaign.measuring import COVER
from ...campaign.reached import Reached
from ...files.notes import text_of
from ...fuzz.news import input_name
from ...program import encode, generate, render
from ...triage.record import Event, Record, State, finding_id
from ...triage.store import Store

ENTRIES: Final = 100_000
FINDINGS: Final = 1_000
DAYS: Final = 14
SAMPLE_SECONDS: Final = 10
LANES: Final = ("lockstep", "concurrent", "exploration")
HOSTILE: Final = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\x00\x1b[31mred",
    "\u202egnp.exe",
    "'\"><svg onload=alert(3)>",
    "{{ 7 * 7 }}",
)
"""In names of lanes, operators, workers, in events and in findings."""


def make(
    folder: Path, entries: int = ENTRIES, findings: int = FINDINGS, days: float = DAYS
) -> Path:
    """A new folder, with so many programs, findings and days of figures; the folder."""
    write_config(folder)
    rng = random.Random(1)
    begin = time.time() - days * 86400
    database = Database(folder)
    try:
        with database.together():
            _sessions(database, begin, days)
            _workers(database, begin, rng)
            _samples(database, begin, days, entries, findings)
            _entries(database, begin, days, entries, rng)
            for text in HOSTILE:
                database.tell("failure", f"worker {text}")
    finally:
        database.close()
    _findings(folder, findings, rng)
    _cover(folder, begin)
    return folder


def _sessions(database: Database, begin: float, days: float) -> None:
    part = days * 86400 / 10
    for number in range(10):
        database.put(
            "session", started=begin + number * part, ended=begin + (number + 1) * part - 1,
            how="stopped", active=part - 1, programs=number * 100, findings=number, version="0.1.0",
        )  # fmt: skip


def _workers(database: Database, begin: float, rng: random.Random) -> None:
    for number in range(2000):
        lane = LANES[number % 3] if number > len(HOSTILE) else HOSTILE[number - 1]
        worker = database.put(
            "worker", session=1 + number // 200, place=str(number % 8), lane=lane, pid=number,
            started=begin + number, state="ended", executions=100_000, operations=2_000_000,
            cpu=4000.0, branches=3000 + number, states=5000, skipped=0, restarts=number % 3,
            failure=HOSTILE[number % len(HOSTILE)] if number >= 1992 else "",
        )  # fmt: skip
        if number % 60 > 2:
            continue  # who is over has left its counters to the first of its lane
        for kind in ("operator", "phrase", "way", "oracle", "allowed"):
            for name in (*HOSTILE, *(f"{kind}-{one}" for one in range(12))):
                database.put("counter", worker=worker, kind=kind, name=name,
                             n=rng.randrange(1, 9000), earned=rng.randrange(90))  # fmt: skip


def _samples(database: Database, begin: float, days: float, entries: int, findings: int) -> None:
    count = int(days * 86400 / SAMPLE_SECONDS)
    rows = (
        (1 + 10 * number // (count + 1), begin + number * SAMPLE_SECONDS,
         float(number * SAMPLE_SECONDS), lane, number * 500, number * 9000, number * 9.0,
         3000 + int(number**0.5), 5000 + int(number**0.6), entries * number // count,
         findings * number // count)
        for number in range(count)
        for lane in LANES
    )  # fmt: skip
    marks = ", ".join("?" * 11)
    database.db.executemany(f"INSERT INTO sample VALUES ({marks})", rows)
    for number in range(0, count, 30):
        for place, lane in enumerate(LANES):
            share = (0.2, 0.3, 0.5)[(place + number // 3000) % 3]
            active = float(number * SAMPLE_SECONDS)
            database.put("share", active=active, lane=lane, share=share, rate=1.0, cpu=9.0)


def _entries(database: Database, begin: float, days: float, count: int, rng: random.Random) -> None:
    programs = [encode(generate(rng)) for _ in range(200)]
    names: list[str] = []
    rows = []
    for number in range(count):
        content = programs[number % 200] + number.to_bytes(4, "little")
        name = input_name(content)
        parents = [names[rng.randrange(len(names))]] if number > 100 else []
        operator = HOSTILE[number % 6] if number % 1000 == 999 else f"operator-{number % 12}"
        at = begin + days * 86400 * number / count
        lists = map(_json, (parents, [operator], [f"phrase-{number % 12}"]))
        rows.append((name, at, LANES[number % 3], 1, *lists, "PCT", content, None))
        names.append(name)
    hostile = "<b>" + "x" * (10 << 20)
    rows.append((hostile, begin + days * 86400 + 1, hostile, 1, f'["{hostile}"]', f'["{hostile}"]',
                 "no list", hostile, b"\xff" * 100, None))  # fmt: skip
    database.db.executemany(f"INSERT INTO entry VALUES ({', '.join('?' * 10)})", rows)


def _json(names: list[str]) -> str:
    return msgspec.json.encode(names).decode()


def _findings(folder: Path, count: int, rng: random.Random) -> None:
    states = list(State)
    at = "2026-01-01T00:00:00+00:00"
    with Store(folder) as store:
        for number in range(count):
            signature = f"retry:tdp:{HOSTILE[number % 6] if number % 10 == 9 else number}"
            state = states[number % len(states)]
            program = "" if state is State.EMBARGOED else render(generate(rng))
            detail = HOSTILE[number % 6]
            notes = {"signature": signature, "detail": detail.replace("\x00", "")}
            record = Record(
                id=finding_id(f"{signature}{number}", "legacy", "tdp"), signature=signature,
                oracle=f"oracle-{number % 9}", left="legacy", right="tdp", detail=detail,
                program=text_of(generate(rng), notes) if program else "", state=state,
                first_seen=at, last_seen=at,
            )  # fmt: skip
            record.bug = record.id
            store.put(record, Event(at, "found", HOSTILE[number % 6]))


def _cover(folder: Path, begin: float) -> None:
    (folder / COVER).mkdir()
    source = "".join(f"\tline {number}; /* {HOSTILE[number % 6]} */\n" for number in range(8000))
    lines = {number: (0.0, begin, time.time())[number % 3] for number in range(1, 8000, 2)}
    found = [Reached("native:<b>", "arch/x86/kvm/mmu/mmu.c", source.replace("\x00", ""), lines)]
    (folder / COVER / "lockstep.json").write_bytes(msgspec.json.encode(found))
