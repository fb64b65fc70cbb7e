# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign shows on a terminal while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..campaign.history import Point
from ..campaign.status import Count, Status
from ..files.printable import printable
from .screen import clock

BARS = "▁▂▃▄▅▆▇█"
SPARKS = 40
"""Points of a line of bars."""
BEST = 5
"""Operators and phrases that are shown."""
EVENTS = 4


def sparkline(values: Sequence[float]) -> str:
    """A bar for each of the last values; the highest one is the highest bar."""
    last = list(values)[-SPARKS:]
    top, bottom = max(last, default=0), min(last, default=0)
    if top <= bottom:
        return BARS[0] * len(last)
    return "".join(BARS[round((one - bottom) / (top - bottom) * (len(BARS) - 1))] for one in last)


def campaign_screen(status: Status, history: Sequence[Point], busy: str) -> RenderableType:
    """The whole of what is known; `busy`: what is done beside fuzzing."""
    figures = Table.grid(padding=(0, 2))
    figures.add_column(no_wrap=True, style="bold")
    figures.add_column(no_wrap=True)
    figures.add_column(overflow="crop", no_wrap=True, style="cyan")
    for name, value, line in _figures(status, history, busy):
        style = "red" if name == "findings" and status.findings else ""
        figures.add_row(name, Text(printable(value), style), line)
    return Group(figures, _workers(status), _lanes(status), _earned(status), _events(status))


def status_line(status: Status) -> str:
    """The figures in one line."""
    return (
        f"{status.state}: {clock(status.seconds)}, {status.executions:,} executions"
        f" ({status.executions_per_second:,.0f}/s), coverage {status.coverage:,},"
        f" corpus {status.corpus:,}, findings {status.findings}"
    )


def _figures(status: Status, history: Sequence[Point], busy: str) -> Iterator[tuple[str, str, str]]:
    rates = [one.executions_per_second for one in history[1:]]
    operations = [one.operations_per_second for one in history[1:]]
    restarts = sum(one.restarts for one in status.lanes)
    yield "campaign", f"{status.folder}, {status.state}", ""
    sessions = f"in {len(status.sessions)} sessions" if len(status.sessions) > 1 else ""
    yield "running", f"{clock(status.seconds)} {sessions}", ""
    rate = f"{status.executions_per_second:,.0f}/s"
    yield "executions", f"{status.executions:,}, {rate}", sparkline(rates)
    rate = f"{status.operations_per_second:,.0f}/s"
    yield "operations", f"{status.operations:,}, {rate}", sparkline(operations)
    branches = sum(one.branches for one in status.lanes)
    yield "branches", f"{branches:,}", sparkline([one.branches for one in history])
    states = sum(one.states for one in status.lanes)
    yield "states", f"{states:,}", sparkline([one.states for one in history])
    yield "corpus", f"{status.corpus:,} programs", sparkline([one.corpus for one in history])
    yield "findings", f"{status.findings}", sparkline([one.findings for one in history])
    yield "last news", f"{clock(status.quiet_seconds)} ago", ""
    yield "restarts", f"{restarts}", ""
    yield "stability", _stability(status.counts), ""
    yield "beside", busy or "nothing", ""


def _workers(status: Status) -> Table:
    table = _table("worker", "lane", "state", "executions", "restarts", "trouble")
    for one in status.workers:
        table.add_row(
            one.place,
            one.lane,
            one.state,
            f"{one.executions:,}",
            str(one.restarts),
            Text(printable(one.failure)),
        )
    return table


def _lanes(status: Status) -> Table:
    table = _table("lane", "share", "new/CPU s", "CPU", "executions", "coverage")
    for one in status.lanes:
        table.add_row(
            one.lane,
            f"{one.share:.0%}",
            f"{one.rate:.2f}",
            clock(one.cpu),
            f"{one.executions:,}",
            f"{one.branches + one.states:,}",
        )
    return table


def _earned(status: Status) -> Table:
    table = _table("operator", "earned", "of", "phrase", "earned", "of")
    operators, phrases = (_best(status.counts, kind) for kind in ("operator", "phrase"))
    for number in range(max(len(operators), len(phrases))):
        table.add_row(*_cells(operators, number), *_cells(phrases, number))
    return table


def _stability(counts: Sequence[Count]) -> str:
    """How many of the programs that were run again reached the same."""
    found = [one for one in counts if one.kind == "stability"]
    if not found:
        return "-"
    return f"{found[0].earned / found[0].n:.0%} of {found[0].n:,} programs that were run again"


def _best(counts: Sequence[Count], kind: str) -> list[Count]:
    return [one for one in counts if one.kind == kind and one.earned][:BEST]


def _cells(counts: Sequence[Count], number: int) -> list[str]:
    if number >= len(counts):
        return ["", "", ""]
    one = counts[number]
    return [one.name, f"{one.earned:,}", f"{one.n:,}"]


def _events(status: Status) -> Text:
    lines = [f"{one.kind}: {one.text}" for one in status.events[-EVENTS:]]
    return Text(printable("\n".join(lines)), style="dim", overflow="ellipsis", no_wrap=True)


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in names:
        number = name not in ("worker", "lane", "state", "operator", "phrase", "trouble")
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    return table
