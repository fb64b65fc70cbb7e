# SPDX-License-Identifier: GPL-2.0-only
"""The page: well-formed, alone, and nothing that a program or an oracle says is markup in it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from difffuzz.cli import main
from difffuzz.report.page import page_of
from difffuzz.report.recording import Recording, What
from difffuzz.variants.catalogue import find

from .recorded import recorded

VOID = {"meta", "input", "br", "link"}
HOSTILE = """</script><script>alert(1)</script><img src=x onerror=alert(2)>'"&amp;<!--\u2028]]>"""


class Parsed(HTMLParser):
    """Elements with their attributes, and the text below each kind; every tag has its end."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return recorded("4a42d848db95")


def hostile(recording: Recording) -> Recording:
    """The same with markup in every text that it holds."""
    document = json.loads(msgspec.json.encode(recording))

    def spoil(value: Any) -> Any:
        if isinstance(value, str):
            return value if value in kept else value + HOSTILE
        if isinstance(value, list):
            return [spoil(one) for one in value]
        if isinstance(value, dict):
            return {key: spoil(one) for key, one in value.items()}
        return value

    kept = {what.value for what in What}
    return msgspec.convert(spoil(document), Recording)


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="recording">(.*?)</script>', page, re.S)
    assert found is not None
    return json.loads(found[1])


def test_the_page_holds_the_recording(recording: Recording) -> None:
    assert msgspec.convert(data_of(page_of(recording)), Recording) == recording


def test_nothing_of_a_recording_is_markup(recording: Recording) -> None:
    plain, spoilt = Parsed(page_of(recording)), Parsed(page_of(hostile(recording)))
    assert plain.elements == spoilt.elements
    assert "<script>alert" not in page_of(hostile(recording))
    assert HOSTILE in "".join(spoilt.text["h1"])
    assert "alert(1)" in "".join(spoilt.text["pre"])
    assert data_of(page_of(hostile(recording)))["name"] == recording.name + HOSTILE


def test_the_page_needs_nothing_from_elsewhere(recording: Recording) -> None:
    page = page_of(recording)
    parsed = Parsed(page)
    for tag, attributes in parsed.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert not {"src", "href", "style"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", "".join(parsed.text["style"]))
    assert "innerHTML" not in page
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|eval\(", page)


def test_the_policy_allows_the_pages_own_style_and_script_only(recording: Recording) -> None:
    parsed = Parsed(page_of(recording))
    (policy,) = [
        attributes["content"]
        for tag, attributes in parsed.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    script = parsed.text["script"][-1]
    for rule, text in (("style-src", parsed.text["style"][0]), ("script-src", script)):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


@pytest.mark.parametrize("name", ["4a42d848db95", "ba6e3fe25543"])
def test_the_page_tells_property_signature_and_digests(name: str) -> None:
    recording = recorded(name)
    page = page_of(recording)
    assert recording.objections
    text = " ".join("".join(one) for one in Parsed(page).text.values())
    for objection in recording.objections:
        assert objection.property
        assert objection.property in text
        assert objection.signature in text
    for side in recording.sides:
        assert side.digest in text


def test_explain_writes_a_page_and_its_text_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bug = find("ba6e3fe25543")
    left, right = bug.sides()
    it = tmp_path / "it"
    comment = "# </script><script>alert(1)</script>"
    it.write_text(bug.program.strip().replace("\n", f"\n{comment}\n", 1))
    words = ["explain", str(it), "--left", left, "--right", right]
    assert main(words) == 1
    plain = capsys.readouterr().out
    page = tmp_path / "new" / "it.html"
    assert main([*words, "--html", str(page)]) == 1
    assert capsys.readouterr().out == plain
    assert data_of(page.read_text())["name"] == "it"
    assert "alert" not in page.read_text()


def test_a_page_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    it = tmp_path / "it"
    it.write_text(find("ba6e3fe25543").program.strip())
    for option in ("--html", "--trace"):
        assert main(["explain", str(it), option, str(tmp_path)]) in (2, 3)
        said = capsys.readouterr()
        assert len(said.err.splitlines()) == 1
        assert not said.out
