# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign tells: families of findings, history in few points, rates and states."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.campaign.database import Database
from difffuzz.campaign.history import read_history
from difffuzz.campaign.report import report_text
from difffuzz.campaign.status import read_status
from difffuzz.commands.campaign_screen import sparkline
from difffuzz.program import parse
from difffuzz.triage.record import State, family
from difffuzz.triage.store import Store

from .fakes import FakeFleet, new_folder, put_finding, supervised

LONGER = parse(
    "difffuzz program v1\nslot 0 as=0 gfn=0x0 pages=0x8 area=1 page=0x0\n"
    "vcpu0: write gfn=0x1\nvcpu0: write gfn=0x2\nvcpu0: exec gfn=0x3\n"
)


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("translation:tdp:munmap:level1", "translation: level"),
        ("translation:legacy/tdp:write:level2", "translation: level"),
        ("translation:legacy:read:mmio", "translation: mmio"),
        ("retry:tdp:write:R1-page", "retry: R-page"),
        ("uaf:native:k72:tdp:exec:page_table", "uaf: page_table"),
    ],
)
def test_families_forget_operation_and_mmu(signature: str, expected: str) -> None:
    assert family(signature) == expected


def test_a_report_tells_each_family_by_its_smallest_program(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    with supervised(folder, FakeFleet(), []) as run:
        put_finding(folder, "translation:tdp:munmap:level1", LONGER, shrunk="it is")
        put_finding(folder, "translation:legacy:migrate:level2", shrunk="it is")
        put_finding(folder, "leak:tdp:destroy:page", shrunk="it is")
        hidden = put_finding(folder, "uaf:tdp:exec:secret", LONGER, shrunk="it is")
        run._next_scan = 0.0
        run.poll()
        run.finish()
    with Store(folder) as store:
        for record in store.all():
            if record.signature in hidden.read_text():
                record.state = State.EMBARGOED
                store.put(record)
        text = report_text(read_status(folder), store.all())
    assert "## Findings: 4, of 3 families" in text
    told = text.index("`translation:legacy:migrate:level2`")
    assert told < text.index("1 more: ")
    assert "`translation:tdp:munmap:level1`" in text[text.index("1 more: ") :]
    assert "secret" not in text
    assert ": embargoed (uaf, " in text


def test_a_history_is_thinned_and_has_rates(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.put("session", started=0.0, how="x", active=100.0, programs=0, findings=0, version="1")
    for number in range(1000):
        for lane, share in (("a", 1), ("b", 3)):
            database.put(
                "sample",
                session=1,
                at=1e9 + number,
                active=float(number),
                lane=lane,
                executions=number * 10 * share,
                operations=number * 100 * share,
                cpu=float(number),
                branches=100,
                states=number,
                corpus=number,
                findings=number // 500,
            )
    points = read_history(database, points=50)
    assert 50 <= len(points) <= 52
    assert points[-1].executions == 999 * 40
    assert {point.executions_per_second for point in points[1:]} == {40.0}
    assert points[-1].coverage == 200 + 2 * 999
    (only,) = {point.executions_per_second for point in read_history(database, "b")[1:]}
    assert only == 30.0
    few = read_history(database, begin=100.0, end=110.0)
    assert [point.active for point in few] == [float(number) for number in range(100, 111)]
    assert read_history(database, "no-such-lane") == []
    database.close()


def test_bars() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5, 5]) == "▁▁▁"
    assert sparkline([]) == ""
    assert len(sparkline(range(1000))) == 40
