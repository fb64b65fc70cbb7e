# SPDX-License-Identifier: GPL-2.0-only
"""The site builds without a warning, is whole, and loads nothing from elsewhere."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOADED = {"img": "src", "link": "href", "script": "src", "iframe": "src"}
"""What a page loads by itself, by the attribute that says from where."""


class Page(HTMLParser):
    """The anchors of a page, what it links to and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.ids.add(said.get("id") or "")
        if tag == "a" and said.get("href"):
            self.links.append(str(said["href"]))
        if tag in LOADED and said.get(LOADED[tag]):
            self.loads.append(str(said[LOADED[tag]]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [sys.executable, "-m", "difffuzz.manual", "--out", str(out)],
        capture_output=True,
        text=True,
        cwd=out,
        timeout=110,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{out}/html/index.html\n{out}/man/difffuzz.1\n{out}/editors\n"
    return out


def test_every_document_is_a_page(site: Path) -> None:
    names = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {"tutorial", "index", "native", "retry"} <= names
    assert names <= {path.stem for path in (site / "html").glob("*.html")}


def test_links_lead_somewhere_and_nothing_comes_from_elsewhere(site: Path) -> None:
    pages = {path: Page(path) for path in (site / "html").rglob("*.html")}
    assert len(pages) > 20
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or (link.startswith("#") and not parts.fragment):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids, f"{path}: {link}"
        for load in page.loads:
            assert not urlsplit(load).scheme, f"{path}: {load}"
            assert not load.startswith("//"), f"{path}: {load}"


def test_the_manual_page_is_one(site: Path) -> None:
    text = (site / "man" / "difffuzz.1").read_text()
    assert '.TH "DIFFFUZZ" "1"' in text
    plain = text.replace("\\-", "-").replace("\\(aq", "'")
    for words in ("fuzz", "native build", "findings bisect", "EXIT STATUS"):
        assert words in plain
    assert "--preemptions" in plain


def test_the_language_has_manual_pages_and_syntax_files(site: Path) -> None:
    for name in ("program", "operations", "configuration"):
        assert (
            f'.TH "DIFFFUZZ-{name.upper()}" "5"'
            in (site / "man" / f"difffuzz-{name}.5").read_text()
        )
    assert {
        str(path.relative_to(site / "editors")) for path in (site / "editors").rglob("*.*")
    } == {
        "vim/syntax/difffuzz.vim",
        "vim/ftdetect/difffuzz.vim",
        "vscode/package.json",
        "vscode/language-configuration.json",
        "vscode/syntaxes/difffuzz.tmLanguage.json",
    }
