# SPDX-License-Identifier: GPL-2.0-only
"""What lasts in a recording: operations, sections under locks and RCU, waits, windows, TLBs.

Events are named by their numbers in the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from difffuzz.report.recording import Event, Recording, What

CLOSES = {What.ENDS: What.BEGINS, What.UNLOCK: What.LOCK, What.RCU_ENDS: What.RCU}
"""What ends a span, and what began it."""


class Span(NamedTuple):
    """From event `begin` to event `end`, which is the number of all events if nothing ends it."""

    begin: int
    end: int
    what: What
    name: str


def of_thread(recording: Recording, side: int, thread: int) -> Iterator[Span]:
    """Operations, locks, RCU sections and waits of a thread, in the order of their ends."""
    open_: dict[tuple[What, str], int] = {}
    waits = -1
    end = len(recording.events)
    for number, event in events_of(recording, side):
        if event.thread != thread:
            continue
        if waits >= 0:
            yield Span(waits, number, What.WAITS, f"waits for {recording.events[waits].text}")
            waits = -1
        what = event.what
        if what is What.WAITS:
            waits = number
        elif what in CLOSES.values():
            open_[what, event.lock] = number
        for closes, opens in CLOSES.items():
            if what is closes and (opens, event.lock) in open_:
                begin = open_.pop((opens, event.lock))
                yield Span(begin, number, opens, _name(recording, begin))
    for (what, _), begin in open_.items():
        yield Span(begin, end, what, _name(recording, begin))
    if waits >= 0:
        yield Span(waits, end, What.WAITS, f"waits for {recording.events[waits].text}")


def windows(recording: Recording, side: int) -> Iterator[Span]:
    """Invalidations, in the order of their ends."""
    open_: list[tuple[int, Event]] = []
    for number, event in events_of(recording, side):
        if event.what is What.INVALIDATES:
            open_.append((number, event))
        elif event.what is What.INVALIDATED:
            for one in reversed(open_):
                if (one[1].text, one[1].thread) == (event.text, event.thread):
                    open_.remove(one)
                    yield Span(one[0], number, What.INVALIDATES, event.text)
                    break
    for number, event in open_:
        yield Span(number, len(recording.events), What.INVALIDATES, event.text)


def tlbs(recording: Recording, side: int, vcpu: int) -> Iterator[Span]:
    """What a vCPU's TLB holds, from change to change, while it holds anything."""
    begin, name = -1, ""
    for number, event in events_of(recording, side):
        if event.what is What.TLB and event.vcpu == vcpu:
            if begin >= 0:
                yield Span(begin, number, What.TLB, name)
            begin, name = (number, "; ".join(event.tlb)) if event.tlb else (-1, "")
    if begin >= 0:
        yield Span(begin, len(recording.events), What.TLB, name)


def runs(recording: Recording, side: int) -> Iterator[Span]:
    """Which thread runs, from switch to switch."""
    begin, thread = -1, -2
    for number, event in events_of(recording, side):
        if event.thread != thread and event.what is not What.FOUND:
            if begin >= 0:
                yield Span(begin, number, What.GOES_ON, recording.threads[thread])
            begin, thread = number, event.thread
    if begin >= 0:
        yield Span(begin, len(recording.events), What.GOES_ON, recording.threads[thread])


def hand_overs(recording: Recording, side: int) -> Iterator[tuple[int, int]]:
    """Two numbers of events: a thread took a lock, and another that waited took it after it."""
    taken: dict[str, int] = {}
    waiting: set[tuple[int, str]] = set()
    for number, event in events_of(recording, side):
        if event.what is What.WAITS:
            waiting.add((event.thread, event.lock))
        elif event.what is What.LOCK:
            before = taken.get(event.lock)
            if (event.thread, event.lock) in waiting:
                waiting.remove((event.thread, event.lock))
                if before is not None and recording.events[before].thread != event.thread:
                    yield before, number
            taken[event.lock] = number


def lanes(spans: Iterable[Span]) -> list[list[Span]]:
    """The spans on as few lanes as it takes for those of one to nest, the first lane first."""
    found: list[tuple[list[Span], list[Span]]] = []
    for span in sorted(spans, key=lambda one: (one.begin, -one.end)):
        for lane, stack in found:
            while stack and stack[-1].end <= span.begin:
                stack.pop()
            if not stack or span.end <= stack[-1].end:
                lane.append(span)
                stack.append(span)
                break
        else:
            found.append(([span], [span]))
    return [lane for lane, _ in found]


def events_of(recording: Recording, side: int) -> Iterator[tuple[int, Event]]:
    """The events of a side, with their numbers."""
    for number, event in enumerate(recording.events):
        if event.side == side:
            yield number, event


def _name(recording: Recording, begin: int) -> str:
    event = recording.events[begin]
    if event.what is What.LOCK:
        return f"{event.lock} {'held' if event.exclusive else 'shared'}"
    return event.text or "RCU read section"
