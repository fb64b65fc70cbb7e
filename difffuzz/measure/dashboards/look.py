# SPDX-License-Identifier: GPL-2.0-only
"""Looks at every page of `difffuzz serve` in a headless Chromium; a line for each.

Over the campaigns of DIR..., or over one of 100,000 programs and 1,000 findings, made for it.
A line of the browser's console, a request to elsewhere, a page that is wider than its window, a
first paint after a second, or text of a program that became markup is an error, status 1.
Screenshots are for people to look at.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ...errors import MissingTool
from ...script import end, need, note
from ..look import HEIGHT, SCHEMES, WIDTHS, browser_in_path
from .large import make

PAGES: Final = (
    "/",
    "/c/0",
    "/c/0/lanes",
    "/c/0/findings",
    "/c/0/corpus",
    "/c/0/corpus?operator=operator-3",
    "/c/0/source?since=hour",
    "/c/0/effect",
    "/c/0/events",
)
FURTHER: Final = (
    ("/c/0/findings?state=new", "td.id a", "a.button"),
    ("/c/0/corpus", "a.id", ""),
    ("/c/0/source", "td a", ""),
)
"""A page, its link, and a link of the page that this leads to."""
SOON: Final = 1000.0
"""Milliseconds."""


def main() -> int:
    """Looks, and prints a line for each page."""
    parser = argparse.ArgumentParser(prog="scripts/look-dashboard", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/look"), help="for screenshots")
    parser.add_argument("--browser", default="", help="its program, if not Chromium in PATH")
    parser.add_argument("folders", metavar="DIR", nargs="*", type=Path)
    args = parser.parse_args()
    need("playwright", "it drives the browser")
    browser = args.browser or browser_in_path()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folders = args.folders or [make(Path(temporary) / "large")]
        with served(folders) as address:
            wrong = look(address, browser, args.out)
    for line in wrong:
        print(line)
    return 1 if wrong else 0


@contextmanager
def served(folders: Sequence[Path]) -> Iterator[str]:
    """A dashboard in a process of its own; its address."""
    command = [sys.executable, "-m", "difffuzz", "serve", "--port", "0", *map(str, folders)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise MissingTool("the dashboard does not start", " ".join(command[1:]))
        yield address.rstrip("/")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def look(address: str, browser: str, out: Path) -> list[str]:
    """What is wrong with the pages."""
    from playwright.sync_api import sync_playwright

    wrong: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for width in WIDTHS:
            for scheme in SCHEMES:
                window: Any = {"width": width, "height": HEIGHT}
                colors: Any = scheme
                context = chromium.new_context(viewport=window, color_scheme=colors)
                page = context.new_page()
                where = _Where(page, address, f"{width}-{scheme}", width, out, wrong)
                for path in (*PAGES, *_further(page, address)):
                    where.look(path)
                if (width, scheme) == (WIDTHS[0], SCHEMES[0]):
                    where.zoom()
                context.close()
        chromium.close()
    return wrong


class _Where:
    """A window."""

    def __init__(
        self, page: Any, address: str, name: str, width: int, out: Path, wrong: list[str]
    ) -> None:
        self._page = page
        self._address = address
        self._name = name
        self._width = width
        self._out = out
        self._wrong = wrong
        self._path = ""
        page.on("console", lambda message: self._say(f"console: {message.text}"))
        page.on("pageerror", lambda error: self._say(f"error: {error}"))
        page.on("dialog", self._asked)
        page.on("request", self._requested)

    def look(self, path: str) -> None:
        """One page."""
        self._path = path
        answer = self._page.goto(self._address + path)
        if answer.status != 200:
            self._say(f"status {answer.status}")
        if self._page.query_selector("[data-chart]"):
            self._page.wait_for_selector("[data-chart] canvas")
        self._page.wait_for_timeout(300)
        paint = self._page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 1e9"
        )
        note(f"{self._name} {path}: first paint after {paint:.0f} ms")
        if paint > SOON and not path.endswith("/explain"):  # which runs a program first
            self._say(f"the first paint is after {paint:.0f} ms")
        if self._page.evaluate("document.documentElement.scrollWidth") > self._width:
            self._say(f"is wider than {self._width} pixels")
        if self._page.query_selector("main script:not([type]), main img, svg[onload]"):
            self._say("text has become markup")
        name = path.partition("?")[0].strip("/").replace("/", "-") or "overview"
        name = f"{name}-{'searched-' if 'operator=' in path else ''}{self._name}.png"
        self._page.screenshot(path=str(self._out / name), full_page="/lines" not in path)

    def zoom(self) -> None:
        """Drags over a chart: all of them show that time, and a button leads back."""
        self.look("/")
        chart = self._page.query_selector("[data-chart=coverage] canvas:last-of-type")
        box = chart.bounding_box()
        middle = box["y"] + box["height"] / 2
        self._page.mouse.move(box["x"] + box["width"] * 0.4, middle)
        self._page.mouse.down()
        self._page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
        self._page.mouse.up()
        if not self._page.is_enabled("#all"):
            self._say("nothing is zoomed")
            return
        self._page.wait_for_timeout(600)
        self._page.screenshot(path=str(self._out / f"zoomed-{self._name}.png"))
        self._page.click("#all")
        if self._page.is_enabled("#all"):
            self._say("the zoom stays")

    def _asked(self, dialog: Any) -> None:
        self._say("a dialog")
        dialog.dismiss()

    def _requested(self, request: Any) -> None:
        if not request.url.startswith(self._address + "/"):
            self._say(f"request: {request.url}")

    def _say(self, what: str) -> None:
        self._wrong.append(f"{self._name} {self._path}: {what}")


def _further(page: Any, address: str) -> Iterator[str]:
    """Pages that others link to."""
    for path, *links in FURTHER:
        for link in filter(None, links):
            page.goto(address + path)
            found = page.query_selector(link)
            if found is None:
                break
            path = found.get_attribute("href")
            yield path


if __name__ == "__main__":
    end("scripts/look-dashboard", main)
