# SPDX-License-Identifier: GPL-2.0-only
"""Draws docs/schedules.svg of the table of schedules in docs/benchmark.md.

`python -m difffuzz.manual.picture` writes it. Each row is a program, each mark the mean number of
schedules until a strategy shows the bug, on a logarithmic axis.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from math import log10
from pathlib import Path
from typing import NamedTuple

from ..script import end

DOCS = Path(__file__).resolve().parents[2] / "docs"
TABLE = DOCS / "benchmark.md"
PICTURE = DOCS / "schedules.svg"
SHOWN = {
    "RFF": ("#1b7f5c", "circle", "RFF, published"),
    "PCT": ("#8a6d00", "circle", "PCT, published"),
    "portfolio": ("#b3261e", "square", "portfolio"),
    "reads-from": ("#1f4fa3", "square", "reads-from"),
    "random": ("#777777", "square", "random walk"),
}
"""Columns of the table: colour, shape, name in the legend."""
LEFT, TOP, ROW, WIDTH, RIGHT = 140, 60, 20, 560, 40
DECADES = 5
"""The axis goes from 1 to 10 to the power of this."""


class Mark(NamedTuple):
    """A strategy's mean on a program."""

    program: str
    column: str
    schedules: float


def read_table(page: str) -> tuple[list[str], list[Mark]]:
    """Programs in their order, and what is shown of each; ValueError without such a table."""
    lines = iter(page.splitlines())
    head = next((_cells(line) for line in lines if line.startswith("| program | RFF ")), None)
    if head is None:
        raise ValueError("docs/benchmark.md has no table of schedules")
    next(lines)  # the rule below the head
    programs: list[str] = []
    marks: list[Mark] = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells = dict(zip(head, _cells(line), strict=True))
        programs.append(cells["program"])
        for column in SHOWN:
            if number := re.match(r"\d+\.\d+", cells[column]):
                marks.append(Mark(cells["program"], column, float(number[0])))
    return programs, marks


def draw(programs: Sequence[str], marks: Sequence[Mark]) -> str:
    """The picture, as SVG."""
    bottom = TOP + ROW * len(programs)
    middle = LEFT + WIDTH / 2
    box = f"0 0 {LEFT + WIDTH + RIGHT} {bottom + 50}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}"',
        'font-family="sans-serif" font-size="12" fill="#222222">',
        "<!-- SPDX-License-Identifier: GPL-2.0-only -->",
        "<title>Mean schedules until the bug shows, by program and strategy</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for at, (colour, shape, name) in enumerate(SHOWN.values()):
        x = LEFT + at * 115.0
        parts += [_mark(shape, colour, x, 24), _text(x + 10, 28, name, "start")]
    for power in range(DECADES + 1):
        x = _x(10**power)
        parts.append(f'<path d="M{x} {TOP - 10}V{bottom}" stroke="#dddddd"/>')
        parts.append(_text(x, bottom + 18, f"{10**power:,}", "middle"))
    below = "mean schedules until the bug shows (no mark: not found)"
    parts.append(_text(middle, bottom + 40, below, "middle"))
    for row, program in enumerate(programs):
        y = TOP + row * ROW
        parts.append(_text(LEFT - 12, y + 4, program, "end"))
        parts.append(f'<path d="M{LEFT} {y}H{LEFT + WIDTH}" stroke="#eeeeee"/>')
        for mark in marks:
            if mark.program == program:
                colour, shape, _ = SHOWN[mark.column]
                parts.append(_mark(shape, colour, _x(mark.schedules), y))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _x(schedules: float) -> float:
    return round(LEFT + log10(max(schedules, 1)) / DECADES * WIDTH, 1)


def _mark(shape: str, colour: str, x: float, y: float) -> str:
    style = f'fill="{colour}" fill-opacity="0.75" stroke="{colour}"'
    if shape == "circle":
        return f'<circle cx="{x}" cy="{y}" r="4.5" {style}/>'
    return f'<rect x="{x - 4:.1f}" y="{y - 4}" width="8" height="8" {style}/>'


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def main() -> int:
    PICTURE.write_text(draw(*read_table(TABLE.read_text(encoding="utf-8"))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    end("picture", main)
