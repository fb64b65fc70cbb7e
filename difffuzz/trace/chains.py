# SPDX-License-Identifier: GPL-2.0-only
"""Rules over the life of SPTEs: an old value was once a new one, unless that was not traced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from difffuzz.facts.paging import PT_WRITABLE_MASK
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK, SPTE_MMU_PRESENT_MASK

from .events import Changed, PageEvent
from .layout import Layout, leaf, pages, pfn, present, table, tracked, writable
from .lines import Lost
from .reading import Trace
from .slots import TracedSlot
from .sptes import has_leaves
from .told import Finding, Rule, found

_COMPARED: Final = SPTE_BASE_ADDR_MASK | SPTE_MMU_PRESENT_MASK | 1 << 7
"""What nobody changes without an event: the CPU sets A and D, fast faults make writable."""
MAX_ROOTS: Final = 8
"""Values of one gfn and level that are remembered: one for each root."""
ROOT_LEVEL: Final = 4
Key = tuple[int, int, int]


class _Break(NamedTuple):
    """A change from a present value that no change made.  `before`: the last event of that gfn."""

    event: Changed
    before: Changed | None
    why: str
    """What else may be the reason; empty: nothing."""


def _needs(trace: Trace, slots: list[TracedSlot]) -> str:
    return has_leaves(trace, slots)


def _unseen(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    for one in _breaks(trace):
        event = one.event
        before = [] if one.before is None else [one.before]
        last = f"{one.before.new:#x}" if one.before else "nothing"
        text = (
            f"gfn {event.gfn:#x} level {event.level}: old SPTE {event.old:#x}, "
            f"but {last} was the last that was set"
        )
        text += f"; {one.why}" if one.why else ""
        yield found("unseen-change", [*before, event], text, not one.why)


def _breaks(trace: Trace) -> Iterator[_Break]:
    later = _later_values(trace)
    live: dict[Key, list[int]] = defaultdict(list)
    last: dict[Key, Changed] = {}
    whole, lost = _begins_with_roots(trace), 0
    split: list[Changed] = []
    for event in trace.events:
        if isinstance(event, Lost):
            live.clear()
            last.clear()
            whole, lost = False, event.number
        if not isinstance(event, Changed):
            continue
        key = _key(event)
        old, new = event.old & _COMPARED, event.new & _COMPARED
        values = live[key]
        if old in values:
            values.remove(old)
        elif present(event.old) and not _from_split(event, split):
            reason = ""
            if lost:
                reason = f"events were lost at line {lost}"
            elif later[key].get(old, 0) > event.line.number:
                reason = "a race: the event that made it stands further below"
            elif not whole:
                reason = "it may be another root's, or from before the trace"
            if whole or lost or key in last:
                yield _Break(event, last.get(key), reason)
        if present(event.new):
            values.append(new)
            del values[:-MAX_ROOTS]
        if leaf(event.old, event.level) and table(event.new, event.level):
            split.append(event)
        last[key] = event


def _key(event: Changed) -> Key:
    return event.as_id, event.gfn, event.level


def _state(spte: int, layout: Layout) -> int:
    """pfn, writable, dirty."""
    return spte & (SPTE_BASE_ADDR_MASK | PT_WRITABLE_MASK | layout.dirty)


def _later_values(trace: Trace) -> dict[Key, dict[int, int]]:
    """By gfn and level: the last line in which a value was set."""
    values: dict[Key, dict[int, int]] = defaultdict(dict)
    for event in trace.events:
        if isinstance(event, Changed):
            values[_key(event)][event.new & _COMPARED] = event.line.number
    return values


def _begins_with_roots(trace: Trace) -> bool:
    """The one root there is was made in the trace, before any change: nothing is older."""
    roots, changed = 0, False
    for event in trace.events:
        changed |= isinstance(event, Changed)
        if isinstance(event, PageEvent) and event.new and event.level >= ROOT_LEVEL:
            if changed and event.gfn == 0:
                return False
            roots += event.gfn == 0
    return roots == 1


def _from_split(event: Changed, split: list[Changed]) -> bool:
    """The table of a huge page that is split is filled before it is linked, with no event."""
    size = pages(event.level)
    for one in reversed(split):
        inside = one.gfn <= event.gfn < one.gfn + pages(one.level)
        if one.as_id == event.as_id and one.level > event.level and inside:
            if pfn(event.old) == pfn(one.old) + ((event.gfn - one.gfn) & -size):
                return True
    return False


def _written(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    """No CPU sets D in an SPTE that is not writable, and no event made it writable between."""
    layout = trace.layout
    assert layout is not None
    whole = _begins_with_roots(trace)
    later = {
        (_key(event), _state(event.new, layout)): event.line.number
        for event in trace.events
        if isinstance(event, Changed)
    }
    last: dict[Key, Changed] = {}
    for event in trace.events:
        if isinstance(event, Lost):
            last.clear()
            whole = False
        if not isinstance(event, Changed):
            continue
        key = _key(event)
        before = last.get(key)
        if before is not None and leaf(before.new, event.level) and leaf(event.old, event.level):
            clean = not before.new & layout.dirty and not writable(before.new)
            same = pfn(before.new) == pfn(event.old) and not tracked(before.new)
            if clean and same and event.old & layout.dirty and not writable(event.old):
                why = "" if whole else "; it may be another root's"
                if later.get((key, _state(event.old, layout)), 0) > event.line.number:
                    why = "; a race: the event that made it so stands further below"
                yield found(
                    "write-protected-written", [before, event],
                    f"gfn {event.gfn:#x}: write-protected and clean, then dirty{why}", not why,
                )  # fmt: skip
        last[key] = event


RULES: Final = (
    Rule(
        "write-protected-written",
        "what is write-protected and clean becomes dirty by a fault only",
        "fast_page_fault(), make_spte()",
        _needs,
        _written,
        True,
    ),
    Rule(
        "unseen-change",
        "the old value of a present SPTE is one that was set before",
        "handle_changed_spte()",
        _needs,
        _unseen,
        True,
    ),
)
