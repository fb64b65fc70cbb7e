# SPDX-License-Identifier: GPL-2.0-only
"""Who is let in, by which name, with which token; and that nothing of a campaign is markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from difffuzz.dashboard.access import Access, Hosts, is_loopback, new_token, read_token
from difffuzz.dashboard.guard import POLICY
from difffuzz.errors import UsageError
from difffuzz.measure.dashboards.large import HOSTILE, make

from .conftest import SHOWN, Browse

TOKEN = "correct-horse-battery-staple"
PAGES = ("/", "/c/0", "/c/0/lanes", "/c/0/findings", f"/c/0/findings/{SHOWN}", "/c/0/corpus",
         "/c/0/source", "/c/0/effect", "/c/0/events", "/api/campaigns", "/api/c/0/history",
         "/metrics", "/live", f"/c/0/findings/{SHOWN}/explain")  # fmt: skip


@pytest.mark.parametrize("path", [*PAGES, "/login", "/static/charts.js", "/nothing"])
def test_every_answer_has_its_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_policy_without_holes() -> None:
    assert "script-src 'self'" in POLICY
    assert "*" not in POLICY


@pytest.mark.parametrize("path", ["/", "/c/0", "/c/0/lanes", "/c/0/source", "/login"])
def test_a_page_has_no_script_or_style_in_it(client: TestClient, path: str) -> None:
    text = client.get(path).text
    for tag in re.findall(r"<script[^>]*>", text):
        assert 'src="/static/' in tag or 'type="application/json"' in tag
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", text)


@pytest.mark.parametrize("path", PAGES)
def test_without_the_token_nothing_is_shown(folder: Path, browse: Browse, path: str) -> None:
    client = browse(folder, token=TOKEN)
    for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN},
                    {"Authorization": f"Basic {TOKEN}"}, {"Cookie": f"difffuzz={TOKEN}"},
                    {"Cookie": "difffuzz="}, {"Cookie": "\"=;;,"}):  # fmt: skip
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert "weeks" not in answer.text
    answer = client.get(f"{path}?token={TOKEN}", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_a_login_makes_a_cookie_that_scripts_and_other_sites_do_not_get(
    folder: Path, browse: Browse
) -> None:
    client = browse(folder, token=TOKEN)
    assert client.get("/login").status_code == 200
    answer = client.post("/login", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/").status_code == 200
    assert TOKEN not in client.get("/").text
    other = browse(folder, token=TOKEN)  # another process
    assert other.get("/", headers={"Cookie": cookie.partition(";")[0]}).status_code == 401


@pytest.mark.parametrize("data", ["", "token=", "token=wrong", "x" * 10_000, "token=\udcff", "%ff"])
def test_a_wrong_login(
    folder: Path, browse: Browse, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("difffuzz.dashboard.app.WRONG_SECONDS", 0.0)
    client = browse(folder, token=TOKEN)
    answer = client.post("/login", content=data.encode("utf-8", "surrogateescape"))
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "That is not the token" in answer.text


def test_nobody_logs_in_where_no_token_is_needed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("difffuzz.dashboard.app.WRONG_SECONDS", 0.0)
    assert client.post("/login", data={"token": ""}).status_code == 401


def test_a_login_that_another_site_sends(folder: Path, browse: Browse) -> None:
    client = browse(folder, token=TOKEN)
    headers = {"Origin": "http://evil.example"}
    assert client.post("/login", data={"token": TOKEN}, headers=headers).status_code == 403
    headers = {"Origin": "http://127.0.0.1:8080"}
    assert client.post("/login", data={"token": TOKEN}, headers=headers).status_code == 303


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/c/0", "/api/c/0/history", "/metrics"])
def test_only_reading(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 405


@pytest.mark.parametrize(
    ("bound", "host", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost:8080", True),
        ("127.0.0.1", "LOCALHOST", True),
        ("::1", "[::1]:8080", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "localhost.evil.example:8080", False),
        ("127.0.0.1", "192.0.2.1", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "[::1", True),
        ("0.0.0.0", "192.0.2.1:8080", True),
        ("0.0.0.0", "[2001:db8::1]:8080", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", "fuzz.example", True),
        ("fuzz.lan", "fuzz.lan:80", True),
    ],
)
def test_by_which_names_one_may_come(bound: str, host: str, allowed: bool) -> None:
    assert Hosts(bound, ["fuzz.example"]).allows(host) is allowed


def test_another_name_shows_nothing(client: TestClient) -> None:
    for path in ("/", "/login", "/static/charts.js", "/metrics"):
        answer = client.get(path, headers={"Host": "evil.example:8080"})
        assert answer.status_code == 421
        assert "weeks" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../../etc/passwd",
        "/static/..%2f..%2f..%2fetc%2fpasswd",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/c/0/corpus/..%2f..%2fcampaign.toml",
        "/c/0/findings/..%2f..%2fcampaign.toml",
        "/c/0/source/lines?tree=..&file=../../../etc/passwd",
        "/c/0/source/lines?tree=model&file=/etc/passwd",
        "/c/0/source?lane=../lockstep",
        "/c/0/../../etc/passwd",
        "/c/-1",
        f"/c/{'9' * 5000}",
        "/c/0%00",
        "/c/0/findings/%00%ff/explain",
    ],
)
def test_no_path_leads_to_a_file(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text
    assert "[[lane]]" not in answer.text


def test_loopback() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("127.8.9.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("::")
    assert not is_loopback("192.0.2.1")
    assert not is_loopback("localhost.evil.example")


def test_tokens(tmp_path: Path) -> None:
    assert len(new_token()) >= 43
    assert new_token() != new_token()
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    assert read_token(path) == TOKEN
    for wrong in ("", "short", "a b" * 20, f"{TOKEN}\n{TOKEN}", "é" * 20, "x" * 5000):
        path.write_text(wrong)
        with pytest.raises(UsageError):
            read_token(path)
    assert not Access().needed
    assert Access(TOKEN).is_token(TOKEN)
    assert not Access(TOKEN).is_token("")


class Elements(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign whose names and texts are HOSTILE, one of them of 10 MB."""
    return make(tmp_path_factory.mktemp("hostile") / "<i>&", entries=1200, findings=60, days=0.02)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/c/0",
        "/c/0/lanes",
        "/c/0/findings",
        "/c/0/findings?text=<script>alert(1)</script>&state=\"'><b>",
        "/c/0/corpus",
        "/c/0/corpus?name=<b>&lane=</script>&operator=<script>",
        f"/c/0/corpus?operator={'<b>' * 3000}",
        "/c/0/source?since=<b>",
        "/c/0/source/lines?tree=native:<b>&file=arch/x86/kvm/mmu/mmu.c",
        "/c/0/source/lines?tree=<b>&file=<script>alert(1)</script>",
        "/c/0/effect",
        "/c/0/events",
        "/c/<script>",
    ],
)
def test_hostile_text_is_text(hostile: Path, browse: Browse, path: str) -> None:
    answer = browse(hostile).get(path)
    assert answer.status_code in (200, 404)
    assert len(answer.content) < 2 << 20
    found = Elements()
    found.feed(answer.text)
    assert not found.tags & {"i", "img", "svg", "iframe"}
    assert not {name for name in found.attributes if name.startswith("on")}
    for text in HOSTILE:
        assert not re.search(r"<(script>alert|img|svg|i>)", answer.text), text
    assert not re.search("[\x00\x1b\u202e]", answer.text)
    assert answer.text != "49"  # no template is made of a name


def test_a_finding_with_hostile_texts(hostile: Path, browse: Browse) -> None:
    client = browse(hostile)
    for one in client.get("/api/c/0/findings").json()["findings"]:
        page = client.get(f"/c/0/findings/{one['id']}").text
        assert not re.search(r"<(script>alert|img|svg)|[\x00\x1b\u202e]", page)


def test_json_and_metrics_of_hostile_names(hostile: Path, browse: Browse) -> None:
    client = browse(hostile)
    for path in ("/api/campaigns", "/api/c/0/effect", "/api/c/0/events", "/api/c/0/corpus"):
        answer = client.get(path)
        assert answer.json()
        assert not re.search("[\x00\x1b\u202e]", answer.text)
        assert answer.headers["x-content-type-options"] == "nosniff"
    lines = client.get("/metrics").text.split("\n")
    assert all(line.startswith(("#", "difffuzz_")) or not line for line in lines)
