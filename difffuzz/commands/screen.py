# SPDX-License-Identifier: GPL-2.0-only
"""What a fuzzing run shows while it goes on: one screen on a terminal, else a line."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..files.printable import printable
from ..fuzz.stats import Summary
from ..sides import short_name
from .progress import PLAIN_SECONDS, Progress

PHASES = {
    "starting": "starting the workers",
    "reading": "reading the programs that are there",
    "fuzzing": "fuzzing",
    "shrinking": "shrinking what was found",
    "over": "over",
}
"""Of Summary.phase."""
MOST_WAYS = 4
"""Ways to schedule that are shown; `fuzz --json` has all."""


class FuzzProgress(Progress):
    """Takes the figures of a run as they come; says each finding once."""

    def __init__(
        self, what: str, console: Console | None = None, plain_seconds: float = PLAIN_SECONDS
    ) -> None:
        super().__init__(console, plain_seconds)
        self._what = what
        self._said: set[str] = set()

    def __enter__(self) -> FuzzProgress:
        return self

    def __call__(self, summary: Summary) -> None:
        """Take the newest figures."""
        for finding in summary.findings:
            if finding.signature not in self._said:
                self._said.add(finding.signature)
                self.say(f"{self._what}: finding {finding.signature}: {finding.program}")
        line = f"{self._what}: {phase_text(summary)}: {figures(summary)}"
        self.show(line, lambda: screen(self._what, summary))


def screen(what: str, summary: Summary) -> Table:
    """The whole of what is known; the same rows all the time, so that nothing jumps."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, text in _rows(what, summary):
        style = "red" if name == "findings" and summary.findings else ""
        table.add_row(name, Text(printable(text), style))
    return table


def _rows(what: str, summary: Summary) -> Iterator[tuple[str, str]]:
    one = summary
    goal = one.goal
    yield what, f"{short_name(one.left)} against {short_name(one.right)}, {one.mode}"
    yield "phase", phase_text(one)
    yield "taken over", taken_over_text(one) or "nothing"
    end = None if goal.seconds is None else clock(goal.seconds)
    yield "time", _of(clock(one.seconds), end)
    if goal.cpu_seconds:
        yield "on a CPU", _of(clock(one.cpu_seconds), clock(goal.cpu_seconds * one.jobs))
    wanted = None if goal.executions is None else f"{goal.executions:,}"
    rate = f"{one.executions_per_second:,.0f}/s"
    yield "executions", f"{_of(f'{one.executions:,}', wanted)}, {rate}"
    if one.variants:
        yield "variants", f"{one.variants:,}, {one.variants / max(one.seconds, 0.001):,.0f}/s"
    yield "operations", f"{one.operations:,}, {one.operations / max(one.seconds, 0.001):,.0f}/s"
    known = " so far, of what is there" if one.phase in ("starting", "reading") else ""
    yield "coverage", f"{one.branches:,} branches{known}"
    yield "states", f"{one.states:,}{known}"
    yield "last new", f"{clock(one.quiet_seconds)} ago" if one.coverage and not known else "-"
    yield "corpus", f"{one.corpus:,} programs"
    yield "swept", sweep_text(one) or "nothing"
    yield "scheduled", ways_text(one) or "nothing"
    yield "findings", f"{len(one.findings)}"
    again = f", started again {one.restarts} times" if one.restarts else ""
    yield "workers", f"{one.jobs}{again}"


def phase_text(summary: Summary) -> str:
    """The phase in words; how far it is, if that is known."""
    text = PHASES[summary.phase]
    if summary.phase == "reading":
        read = summary.executions // summary.jobs
        text += f", {read:,} of {summary.to_read:,}"
    return f"{text} (interrupted)" if summary.interrupted else text


def taken_over_text(summary: Summary) -> str:
    """What there was of an earlier run; empty if nothing."""
    taken = summary.taken_over
    if not taken.programs and not taken.findings:
        return ""
    return f"{taken.programs:,} programs, {taken.findings:,} findings"


def sweep_text(summary: Summary) -> str:
    """How far the sweep came; empty if there was nothing to do."""
    one = summary.sweep
    if not one.done and not one.left:
        return ""
    return f"{one.done:,} programs, {one.left:,} are left, {one.schedules:,} schedules"


def ways_text(summary: Summary) -> str:
    """The shares of how programs were scheduled, the largest first; empty if none was."""
    counts = sorted(((one.inputs, way) for way, one in summary.ways.items()), reverse=True)
    total = sum(count for count, _ in counts)
    return ", ".join(f"{way} {count / total:.0%}" for count, way in counts[:MOST_WAYS])


def figures(summary: Summary) -> str:
    """The figures of a run in one line."""
    return (
        f"{summary.seconds:.0f} s, {summary.executions} executions "
        f"({summary.executions_per_second:.0f}/s), {summary.operations} operations, "
        f"coverage {summary.coverage}, corpus {summary.corpus}, "
        f"findings {len(summary.findings)}"
    )


def _of(now: str, goal: str | None) -> str:
    return now if goal is None else f"{now} of {goal}"


def clock(seconds: float) -> str:
    """Seconds, as a clock shows them from a minute on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02} h"
    return f"{minutes}:{rest:02} min" if minutes else f"{rest} s"
