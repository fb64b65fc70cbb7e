# SPDX-License-Identifier: GPL-2.0-only
"""The rule of huge pages that take the place of small ones: both are the same host's pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Final, TypeGuard

from .events import Changed, Event, PageEvent
from .layout import frozen, leaf, pages, pfn, table
from .lines import Lost
from .reading import Trace
from .slots import TracedSlot
from .sptes import has_zaps
from .told import Finding, Rule, found


def _stale(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    """Who replaces a page table freezes what it maps: before its own event (7.3), or after (6.1).

    A small page whose pfn is not that of its place in the huge page was taken away by the host,
    with no zap: a notifier's zap would have left nothing to freeze.
    """
    by_task: dict[int, list[Changed | PageEvent]] = {}
    for event in [*trace.events, Lost(0)]:
        if isinstance(event, Lost):
            for events in by_task.values():
                yield from _of_task(events)
            by_task.clear()
        elif isinstance(event, Changed | PageEvent):
            by_task.setdefault(event.line.pid, []).append(event)


def _of_task(events: list[Changed | PageEvent]) -> Iterator[Finding]:
    for at, event in enumerate(events):
        if not isinstance(event, Changed):
            continue
        if not table(event.old, event.level) or not leaf(event.new, event.level):
            continue
        after = _zapped(events[at + 1 :][:_MOST], event)
        before = _zapped_before(events[max(0, at - _MOST) : at], event)
        for small in (*before, *after):
            wanted = pfn(event.new) + small.gfn - event.gfn
            if leaf(small.old, small.level) and pfn(small.old) != wanted:
                yield found(
                    "small-page-of-another-pfn", sorted([event, small], key=_number),
                    f"gfn {small.gfn:#x}: pfn {pfn(small.old):#x} was mapped until a page of level "
                    f"{event.level} with pfn {wanted:#x} came, with no zap between",
                )  # fmt: skip
                break


_MOST: Final = 514
"""Events that belong to the removal of a table: its own, and one for each of its SPTEs."""


def _number(event: Event) -> int:
    return event.line.number


def _zapped(events: Iterable[Changed | PageEvent], huge: Changed) -> list[Changed]:
    """What of the table below was frozen, in the events that follow at once."""
    later = iter(events)
    first = next(later, None)
    key = (huge.gfn, huge.level - 1)
    if not isinstance(first, PageEvent) or (first.gfn, first.level) != key:
        return []
    return [one for one in takewhile(lambda one: _below(one, huge), later) if _frozen(one)]


def _zapped_before(events: list[Changed | PageEvent], huge: Changed) -> list[Changed]:
    children = list(takewhile(lambda one: _below(one, huge), reversed(events)))
    at = len(events) - len(children) - 1
    begun = events[at] if at >= 0 else None
    key = (huge.gfn, huge.level - 1)
    if not isinstance(begun, PageEvent) or (begun.gfn, begun.level) != key:
        return []
    return [one for one in children[::-1] if _frozen(one)]


def _below(event: Changed | PageEvent, huge: Changed) -> bool:
    """A change one level below."""
    inside = 0 <= event.gfn - huge.gfn < pages(huge.level)
    return isinstance(event, Changed) and event.level == huge.level - 1 and inside


def _frozen(event: Changed | PageEvent) -> TypeGuard[Changed]:
    return isinstance(event, Changed) and frozen(event.new)


RULES: Final = (
    Rule(
        "small-page-of-another-pfn",
        "a huge page that takes the place of a table maps the pfns that the table did",
        "handle_removed_pt(), kvm_unmap_gfn_range()",
        has_zaps,
        _stale,
    ),
)
