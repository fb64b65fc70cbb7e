# SPDX-License-Identifier: GPL-2.0-only
"""A concurrent run in text: what each side's threads did, step by step, and what was found."""

from __future__ import annotations

from collections.abc import Iterator

from difffuzz.engine.concurrent import Event
from difffuzz.engine.place import Place
from difffuzz.oracle import Verdict
from difffuzz.program import render_op
from difffuzz.program.limits import THREADS
from difffuzz.report.explain import allowed_lines, divergence_lines, outcome_text
from difffuzz.sides import short_name

COLUMN = 7


def timeline_lines(verdict: Verdict, left: str, right: str) -> Iterator[str]:
    """The lines of the explanation; the verdict must have its trace of events."""
    for number, name in enumerate((left, right)):
        trace = [event for event in verdict.trace if isinstance(event, Event)]
        events = [event for event in trace if event.side == number]
        if events:
            yield f"{short_name(name)}, by preemption points:"
            yield from (event_line(event) for event in events)
    if verdict.divergences:
        yield "    >>> found"
        yield from divergence_lines(verdict.divergences)
    yield from allowed_lines(verdict)


def event_line(event: Event) -> str:
    """One event: a thread goes on, begins an operation, or is done with it."""
    thread = THREADS[event.thread] if event.thread >= 0 else "nobody"
    head = f"  {event.step:6}  {thread:{COLUMN}} "
    if event.store:
        return f"{head}    {_stored(event)}"
    if event.op is None:
        return f"{head}goes on{_left_behind(event.place)}"
    operation = render_op(event.op).partition(": ")[2]
    if event.outcome is None:
        return f"{head}{operation}"
    return f"{head}    {operation}: {outcome_text(event.outcome, ())}"


def _stored(event: Event) -> str:
    """What becomes of a store that is delayed."""
    what = event.place.what
    if event.store == "visible":
        return f"its store to {what} is visible now"
    inside = "".join(f", in {name}()" for name in event.place.functions[:1])
    return f"its store to {what} waits in its store buffer{inside}"


def _left_behind(place: Place) -> str:
    """Where the other one stands: in which function, called by which, and before what."""
    inside = "in " + " < ".join(f"{name}()" for name in place.functions) if place.functions else ""
    parts = [part for part in (inside, f"before {place.what}" if place.what else "") if part]
    return f" (the other one: {', '.join(parts)})" if parts else ""
