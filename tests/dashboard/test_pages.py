# SPDX-License-Identifier: GPL-2.0-only
"""Every page and its JSON: they say what the folder has."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from difffuzz.campaign.database import FILE, Database
from difffuzz.dashboard.campaigns import Unreadable, open_campaigns
from difffuzz.dashboard.explained import Explained
from difffuzz.dashboard.findings import A_PAGE
from difffuzz.triage.store import FILE as STORE
from difffuzz.triage.store import Store

from .conftest import FIRST, HIDDEN, SAME, SECOND, SHOWN, THIRD, Browse, put_cover, record_of


def get(client: TestClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return answer.text


def data(client: TestClient, path: str, status: int = 200) -> Any:
    answer = client.get(f"/api{path}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/", "nothing new for"),
        ("/c/0", "its time is over"),
        ("/c/0/lanes", "Time moves to the lane"),
        ("/c/0/findings", "retry:tdp:read"),
        (f"/c/0/findings/{SHOWN}", "one side retries"),
        ("/c/0/corpus", FIRST[:12]),
        (f"/c/0/corpus/{SECOND}", "vcpu0: write gfn=0x1"),
        ("/c/0/source", "difffuzz/kvm/mmu.py"),
        ("/c/0/source/lines?tree=model&file=difffuzz/kvm/mmu.py", "while d:"),
        ("/c/0/effect", "nx-split"),
        ("/c/0/events", "227 programs, 0 findings are there"),
    ],
)
def test_a_page(client: TestClient, path: str, says: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert says in answer.text
    if path != "/":
        assert client.get(f"/api{path}").status_code == 200


def test_the_figures(client: TestClient) -> None:
    status = data(client, "/c/0")["status"]
    assert status["state"] == "killed" or status["state"] == "stopped"
    assert (status["executions"], status["operations"], status["corpus"]) == (2000, 40_000, 3)
    assert [one["how"] for one in status["sessions"]] == ["its time is over"] * 2
    assert "99.0% of 200 runs of a program once more reached the same" in get(client, "/c/0")


def test_curves_over_time_with_the_sessions_that_began(client: TestClient) -> None:
    every = data(client, "/c/0/history")
    assert every["active"][0] == 0
    assert every["active"][-1] == 7140
    assert set(map(len, every["columns"].values())) == {len(every["active"])} == {120}
    assert every["columns"]["coverage"][-1] == 2 * (159 + 259)
    assert [(one["session"], one["active"], one["how"]) for one in every["starts"]] == [
        (1, 0, ""),
        (2, 3600, "it was killed"),
    ]


def test_zoom_and_lane(client: TestClient) -> None:
    part = data(client, "/c/0/history?lane=lockstep&begin=600&end=1200")
    assert part["active"] == [600 + 60 * number for number in range(11)]
    assert part["columns"]["executions_per_second"][1:] == [10.0] * 10
    few = data(client, "/c/0/history?points=5")
    assert 5 <= len(few["active"]) <= 6
    assert data(client, "/c/0/history?begin=1e9")["active"] == []


def test_campaigns_side_by_side(folder: Path, tmp_path: Path, browse: Browse) -> None:
    shutil.copytree(folder, tmp_path / "other" / "weeks")
    client = browse(folder, tmp_path / "other" / "weeks")
    found = data(client, "/campaigns")["campaigns"]
    assert [one["name"] for one in found] == ["weeks", str(tmp_path / "other" / "weeks")]
    page = get(client, "/")
    assert '<script type="application/json" id="curves">' in page
    assert page.count('data-live="1.executions"') == 1
    get(client, "/c/2", 404)


def test_lanes_with_their_shares_and_why(client: TestClient) -> None:
    found = data(client, "/c/0/lanes")
    why = {one["lane"]: one["why"] for one in found["lanes"]}
    assert list(why) == ["lockstep", "concurrent"]  # nobody has worked in the second one
    assert set(why.values()) == {
        "10% that every lane has, and 50% of the other 70%: it brought 1.50 new features a CPU"
        " second of late, all lanes 3.00"
    }
    assert found["shares"]["lanes"] == {"lockstep": [0.75, 0.75], "concurrent": [0.25, 0.25]}
    assert found["shares"]["active"] == [0, 3600]


def test_findings_by_state_oracle_and_text(client: TestClient) -> None:
    def ids(query: str) -> list[str]:
        return [one["id"] for one in data(client, f"/c/0/findings{query}")["findings"]]

    assert set(ids("")) == {SHOWN, SAME, HIDDEN}
    assert ids("").index(SAME) == ids("").index(SHOWN) + 1
    assert ids("?state=embargoed") == [HIDDEN]
    assert ids("?oracle=warn") == [SAME]
    assert ids("?text=TDP:READ") == [SHOWN]
    assert ids("?text=no+such") == []


def test_pages_of_findings(folder: Path, client: TestClient) -> None:
    with Store(folder) as store:
        for number in range(A_PAGE):
            store.put(record_of(f"retry:{number}"))
    first, last = data(client, "/c/0/findings"), data(client, "/c/0/findings?page=1")
    assert (first["pages"], first["count"]) == (2, A_PAGE + 3)
    assert (len(first["findings"]), len(last["findings"])) == (A_PAGE, 3)
    assert data(client, "/c/0/findings?page=99")["page"] == 1
    assert "page=1" in get(client, "/c/0/findings")


def test_a_finding_with_its_history_and_other_sights(client: TestClient) -> None:
    found = data(client, f"/c/0/findings/{SHOWN}")
    assert found["finding"]["history"][0]["text"] == "by chance"
    assert [one["id"] for one in found["others"]] == [SAME]
    get(client, "/c/0/findings/0123456789", 404)


def test_what_is_embargoed_shows_id_oracle_and_date(folder: Path, client: TestClient) -> None:
    database = Database(folder)
    database.tell("finding", f"{HIDDEN} stale-access:tdp:secret")
    database.close()
    pages = ("/", "/c/0", "/c/0/findings", f"/c/0/findings/{HIDDEN}", "/c/0/events", "/metrics")
    for path in (*pages, *(f"/api{one}" for one in pages[1:5]), "/api/campaigns"):
        assert "secret" not in get(client, path)
    assert HIDDEN in get(client, "/c/0/events")
    assert data(client, "/c/0/findings?text=secret")["findings"] == []
    document = data(client, f"/c/0/findings/{HIDDEN}")
    assert set(document["finding"]) == {"id", "oracle", "state", "first_seen", "last_seen"}
    get(client, f"/c/0/findings/{HIDDEN}/explain", 404)


def test_events_without_a_store_tell_no_signature(folder: Path, client: TestClient) -> None:
    (folder / STORE).write_bytes(b"no database" * 1000)
    assert "retry:tdp" not in get(client, "/c/0/events")
    assert SHOWN in get(client, "/c/0/events")


def test_stepping_through_a_finding(client: TestClient) -> None:
    answer = client.get(f"/c/0/findings/{SHOWN}/explain")
    assert answer.status_code == 200
    assert f"<h1>{SHOWN}</h1>" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.text.count("sha256-") == 2


def test_who_waits_for_a_page_does_not_when_the_server_ends(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (sys.executable, "-c", "import time; print(flush=True); time.sleep(100)")
    monkeypatch.setattr("difffuzz.dashboard.explained.COMMAND", command)
    explained = Explained()
    (campaign,) = open_campaigns([folder])
    with ThreadPoolExecutor() as pool:
        page = pool.submit(explained.page, campaign, SHOWN)
        while not page.done():
            explained.close()
    with pytest.raises(Unreadable, match="cannot be run: it was killed"):
        page.result()


def test_a_program_that_does_not_end(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(100)")
    monkeypatch.setattr("difffuzz.dashboard.explained.COMMAND", command)
    monkeypatch.setattr("difffuzz.dashboard.explained.SECONDS", 0.1)
    assert "does not end" in get(client, f"/c/0/findings/{SHOWN}/explain", 503)


def test_a_finding_of_other_sides_is_not_run(folder: Path, client: TestClient) -> None:
    foreign = record_of("retry:other", right="tdp+/tmp/evil.patch")
    with Store(folder) as store:
        store.put(foreign)
    said = data(client, f"/c/0/findings/{foreign.id}", 200)["finding"]["right"]
    assert said == "tdp+/tmp/evil.patch"
    assert "it is not run" in get(client, f"/c/0/findings/{foreign.id}/explain", 404)


def test_corpus_by_name_lane_and_operator(client: TestClient) -> None:
    def names(query: str) -> list[str]:
        return [one["name"] for one in data(client, f"/c/0/corpus{query}")["entries"]]

    assert names("") == [THIRD, SECOND, FIRST]
    assert names(f"?name={SECOND[:6]}") == [SECOND]
    assert names("?lane=concurrent") == [THIRD]
    assert names("?operator=splice") == [SECOND]
    assert names("?operator=aged") == [THIRD]
    assert names("?operator=PCT") == [THIRD, SECOND, FIRST]
    assert names("?operator=spl") == []


def test_corpus_by_pages(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("difffuzz.dashboard.corpus.A_PAGE", 2)
    first = data(client, "/c/0/corpus")
    assert [one["name"] for one in first["entries"]] == [THIRD, SECOND]
    last = client.get("/api/c/0/corpus", params={"before": first["before"]}).json()
    assert [one["name"] for one in last["entries"]] == [FIRST]
    assert last["before"] == ""
    get(client, "/c/0/corpus?before=yesterday", 404)


def test_where_a_program_comes_from(client: TestClient) -> None:
    third = data(client, f"/c/0/corpus/{THIRD}")
    assert [[one["name"] for one in each] for each in third["older"]] == [[SECOND], [FIRST]]
    first = data(client, f"/c/0/corpus/{FIRST}")
    assert [one["name"] for one in first["children"]] == [SECOND]
    assert first["older"] == []
    get(client, f"/c/0/corpus/{'0' * 40}", 404)


def test_lines_missed_reached_and_new(folder: Path, client: TestClient) -> None:
    def states(query: str) -> list[str]:
        path = f"/c/0/source/lines?tree=model&file=difffuzz/kvm/mmu.py{query}"
        return [one["state"] for one in data(client, path)["lines"]]

    assert states("") == ["reached", "missed", "", "reached"]
    assert states("&since=hour") == ["reached", "missed", "", "new"]
    assert states("&since=session") == ["reached", "missed", "", "new"]
    assert states("&since=10min") == ["reached", "missed", "", "reached"]
    assert states("&since=day") == ["new", "missed", "", "new"]
    figures = data(client, "/c/0/source?since=hour")["files"]
    assert figures == [
        {"tree": "model", "file": "difffuzz/kvm/mmu.py", "lines": 3, "reached": 2, "new": 1}
    ]


def test_lanes_together_and_alone(folder: Path, client: TestClient) -> None:
    put_cover(folder, "concurrent", {1: 0.0, 2: 1.0, 4: 2.0})
    put_cover(folder, "native", {1: 1.0}, tree="native:mine")
    every = data(client, "/c/0/source")
    assert [(one["tree"], one["reached"]) for one in every["files"]] == [
        ("model", 3),
        ("native:mine", 1),
    ]
    assert every["lanes"] == ["concurrent", "lockstep", "native"]
    alone = data(client, "/c/0/source?lane=lockstep")["files"]
    assert [one["reached"] for one in alone] == [2]
    get(client, "/c/0/source?lane=..", 404)


def test_what_earned_it(client: TestClient) -> None:
    found = data(client, "/c/0/effect")
    counts = {one["kind"]: one["counts"] for one in found["makers"] + found["judges"]}
    assert [(one["n"], one["earned"]) for one in counts["operator"]] == [(20, 10)]
    assert "50.0%" in get(client, "/c/0/effect")
    assert [one["n"] for one in counts["oracle"] + counts["allowed"]] == [6, 12]


def test_pages_of_events(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("difffuzz.dashboard.figures.EVENTS_A_PAGE", 3)
    first = data(client, "/c/0/events")
    assert len(first["events"]) == 3
    last = data(client, f"/c/0/events?before={first['before']}")
    assert [one["kind"] for one in last["events"]] == ["start"]
    assert last["before"] == 0


@pytest.mark.parametrize("path", ["/c/0/nothing", "/c/x", "/static/nothing", "/c/0/corpus/nothing"])
def test_what_is_not_there(client: TestClient, path: str) -> None:
    assert "cannot be shown" in get(client, path, 404)


@pytest.mark.parametrize("query", ["begin=x", "end=nan", "points=inf", "begin=1e99"])
def test_what_is_no_number(client: TestClient, query: str) -> None:
    assert "expected a number" in data(client, f"/c/0/history?{query}", 400)["error"]


def test_a_campaign_that_has_not_run(folder: Path, client: TestClient) -> None:
    (folder / FILE).unlink()
    assert "no campaign has run" in get(client, "/c/0", 503)
    assert "no campaign has run" in get(client, "/")
    assert "no campaign has run" in data(client, "/c/0/corpus", 503)["error"]
    assert "difffuzz_up" in get(client, "/metrics")


def test_a_damaged_database(folder: Path, client: TestClient) -> None:
    path = folder / FILE
    data_of = bytearray(path.read_bytes())
    data_of[4096:] = b"\xff" * (len(data_of) - 4096)
    path.write_bytes(data_of)
    assert "makes it anew" in get(client, "/c/0", 503)
    assert "makes it anew" in get(client, "/")
    path.write_bytes(b"")
    get(client, "/c/0", 503)


def test_nothing_in_the_folder_changes(folder: Path, client: TestClient) -> None:
    def all_of() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")
        }

    before = all_of()
    for path in ("/", "/c/0", "/c/0/lanes", "/c/0/findings", "/c/0/corpus", "/c/0/source",
                 f"/c/0/findings/{SHOWN}/explain", "/metrics", "/live"):  # fmt: skip
        get(client, path)
    assert all_of() == before


def test_while_a_run_writes(folder: Path, client: TestClient) -> None:
    database = Database(folder)
    try:
        database.tell("start", "written just now")
        assert "written just now" in get(client, "/c/0/events")
        with database.together():
            database.tell("start", "not yet there")
            assert "not yet there" not in get(client, "/c/0/events")
    finally:
        database.close()
    assert "not yet there" in get(client, "/c/0/events")
