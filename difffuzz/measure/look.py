# SPDX-License-Identifier: GPL-2.0-only
"""Draws findings of the catalogue and looks at each page in a headless Chromium.

Every step is clicked through, forward and back, by buttons and by keys, without a network; a line
of the browser's console, a request or a page that is wider than its window is an error, status 1.
Screenshots are for people to look at.  Pages, traces and screenshots are in OUT.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from ..errors import MissingTool
from ..program import Program, generate, parse
from ..report.page import page_of
from ..report.perfetto_trace import trace_of
from ..report.recorder import Recorder
from ..running.runner import Runner
from ..script import end, need, note
from ..variants.catalogue import find

FINDINGS = (
    "47b0c2e4c220",
    "524a1e4e381f",
    "817fa998362d",
    "ba6e3fe25543",
    "f9b84e19221e",
    "own-notifier-skips-smm",
    "21a36ac6b6c7",
    "4a42d848db95",
    "7cca2d0b7e7d",
    "e0c378684b65",
)
"""Six that lockstep shows, and four races."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (1280, 400)
HEIGHT = 900
SCHEMES = ("light", "dark")
LONG = 200
"""Operations of the long program."""
SOON = 1.0
"""Seconds in which a page has to show a step."""


def main() -> int:
    """Draws, looks, and prints a line for each page."""
    parser = argparse.ArgumentParser(prog="scripts/look", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/look"), help="a directory")
    parser.add_argument("--browser", default="", help="its program, if not Chromium in PATH")
    parser.add_argument("findings", nargs="*", default=FINDINGS, help="of the catalogue")
    args = parser.parse_args()
    need("playwright", "it drives the browser")
    browser = args.browser or browser_in_path()
    args.out.mkdir(parents=True, exist_ok=True)
    errors = 0
    for name, page in draw(args.findings, args.out):
        note(f"{name}: {page}")
        for error in look(page, browser, every_step=name != "long"):
            print(f"{name}: {error}")
            errors += 1
    return 1 if errors else 0


def browser_in_path() -> str:
    """MissingTool: there is none."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), "")
    if not browser:
        raise MissingTool("there is no Chromium", "apt-get install chromium")
    return browser


def draw(names: list[str], out: Path) -> Iterator[tuple[str, Path]]:
    """Page and trace of each finding, and of a long program."""
    for name in names:
        bug = find(name)
        yield name, _draw(out, name, parse(bug.program), bug.sides())
    yield "long", _draw(out, "long", generate(Random(1), ops=LONG), ("legacy", "tdp"))


def _draw(out: Path, name: str, program: Program, sides: tuple[str, str]) -> Path:
    recorder = Recorder()
    verdict = Runner(*sides)(program, trace=True, notes=recorder)
    recording = recorder.recording(name, program, sides, verdict)
    (out / f"{name}.pftrace").write_bytes(trace_of(recording))
    page = out / f"{name}.html"
    page.write_text(page_of(recording))
    return page


def look(path: Path, browser: str, every_step: bool) -> list[str]:
    """What is wrong with a page."""
    from playwright.sync_api import sync_playwright

    wrong: list[str] = []
    took = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for width in WIDTHS:
            for scheme in SCHEMES:
                goes_through = (width, scheme) == (WIDTHS[0], SCHEMES[0])
                window = width, scheme, goes_through, every_step
                took.append(_in_window(chromium, path, *window, wrong))
        chromium.close()
    note(f"{path.name}: shows a step after {', '.join(f'{one:.2f}' for one in took)} s")
    if min(took) > SOON:
        wrong.append(f"a step shows after {min(took):.1f} s at best")
    return wrong


def _in_window(
    chromium: Any,
    path: Path,
    width: int,
    scheme: str,
    goes_through: bool,
    every_step: bool,
    wrong: list[str],
) -> float:
    """Looks at it in a window of that width, takes screenshots, adds to what is wrong; returns the
    seconds until it shows a step.  `every_step`: of those gone through, else operations."""
    address = path.resolve().as_uri()

    def requested(request: Any) -> None:
        if request.url.partition("#")[0] != address:
            wrong.append(f"request: {request.url}")

    size = {"width": width, "height": HEIGHT}
    context = chromium.new_context(viewport=size, color_scheme=scheme, offline=True)
    page = context.new_page()
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("request", requested)
    start = time.monotonic()
    page.goto(address)
    page.wait_for_selector("#timeline tbody tr")
    took = time.monotonic() - start
    steps = int(page.get_attribute("#slider", "max") or 0)
    if goes_through:
        wrong += _through(page, steps, every_step)
    for step in sorted({steps, steps * 2 // 3}):
        page.goto(f"{address}#{step}")
        if page.inner_text("#place") != f"Step {step} of {steps}":
            wrong.append(f"the link to step {step} shows {page.inner_text('#place')}")
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wrong.append(f"step {step} is wider than {width} pixels")
        shot = path.with_name(f"{path.stem}-{width}-{scheme}-{step}.png")
        page.screenshot(path=str(shot), full_page=True)
    context.close()
    return took


def _through(page: Any, steps: int, every_step: bool) -> Iterator[str]:
    """Goes through the steps by buttons and by keys; of a long page by operations."""
    page.keyboard.press("Home")
    for button, other, far in (("forward", "ArrowLeft", steps), ("back", "ArrowRight", 0)):
        button = button if every_step else f"op-{button}"
        clicks = 0
        while page.is_enabled(f"#{button}"):
            page.click(f"#{button}")
            clicks += 1
            at = page.inner_text("#place")
            if every_step:
                page.keyboard.press(other)
                page.keyboard.press("ArrowRight" if other == "ArrowLeft" else "ArrowLeft")
                if page.inner_text("#place") != at:
                    yield f"{other} and back is not where it was: {at}"
            if not page.inner_text("#now"):
                yield f"nothing is told: {at}"
        if page.inner_text("#place") != f"Step {far} of {steps}":
            yield f"{button} ends at {page.inner_text('#place')}"
        if every_step and clicks != steps:
            yield f"{button} took {clicks} clicks for {steps} steps"
    page.keyboard.press("End")
    if page.inner_text("#place") != f"Step {steps} of {steps}":
        yield f"End leads to {page.inner_text('#place')}"
    for theme in ("light", "dark", "auto"):
        page.click("#theme")
        if page.inner_text("#theme") != f"Theme: {theme}":
            yield f"the theme is not {theme}"


if __name__ == "__main__":
    end("look", main)
