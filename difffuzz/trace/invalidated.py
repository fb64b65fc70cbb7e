# SPDX-License-Identifier: GPL-2.0-only
"""The rule of invalidations: between begin and end of one no fault maps what it covers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from .events import Began, Changed, Ends, PageFault, SpteSet, Unmap, VcpuEvent
from .layout import leaf, pages, present
from .lines import Lost
from .reading import Trace
from .slots import TracedSlot
from .told import Finding, Rule, found


class _Open(NamedTuple):
    """An invalidation of a task.  `begun`: what proves that the count was raised, if anything."""

    unmap: Unmap
    begun: Began | Changed | None


def _needs(trace: Trace, slots: list[TracedSlot]) -> str:
    if not slots:
        return "--slot, which says where hvas are in the guest"
    if not any(isinstance(event, Unmap) for event in trace.events):
        return "kvm_unmap_hva_range"
    if not any(isinstance(event, Ends) for event in trace.events):
        return "a probe on kvm_mmu_notifier_invalidate_range_end, as docs/trace.md sets one"
    return ""


def _leaves_inside(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    """kvm_unmap_hva_range is written before the count is raised: what proves that it was is a zap
    of the same task, which comes after, or the return of the function.  The probe at the entry of
    the end fires while the count is still up."""
    running: dict[int, _Open] = {}
    maps = _maps(trace)
    for event in trace.events:
        if isinstance(event, Lost):
            running.clear()
            continue
        pid = event.line.pid
        if isinstance(event, Unmap):
            running[pid] = _Open(event, None)
        elif isinstance(event, Ends | PageFault | VcpuEvent):
            running.pop(pid, None)
        elif isinstance(event, Began) and pid in running:
            running[pid] = running[pid]._replace(begun=event)
        elif isinstance(event, Changed | SpteSet) and event.line.number in maps:
            yield from _inside(event, running, slots)
        elif isinstance(event, Changed) and pid in running:
            if present(event.old) and not present(event.new):
                running[pid] = running[pid]._replace(begun=running[pid].begun or event)


def _maps(trace: Trace) -> set[int]:
    """Lines where a fault maps its own page, after it had asked for a level."""
    lines = set()
    for fault in trace.faults:
        asked = fault.requested
        if asked is None or asked.gfn != fault.gfn:
            continue
        events: list[Changed | SpteSet] = [*fault.changes, *fault.sets]
        for event in events:
            spte = event.new if isinstance(event, Changed) else event.spte
            for_it = leaf(spte, event.level) and fault.covers(event.gfn, event.level)
            # Who makes huge pages again replaces tables, and need not be a fault.
            anew = not isinstance(event, Changed) or not present(event.old)
            if for_it and anew and event.line.number > asked.line.number:
                lines.add(event.line.number)
                break
    return lines


def _inside(
    event: Changed | SpteSet, running: dict[int, _Open], slots: list[TracedSlot]
) -> Iterator[Finding]:
    first = event.gfn & -pages(event.level)
    end = first + pages(event.level)
    for one in running.values():
        if one.begun is None:
            continue
        for slot in slots:
            low, high = slot.gfns_of(one.unmap.start, one.unmap.end)
            if low < high and first < high and low < end:
                yield found(
                    "leaf-inside-invalidation", [one.unmap, one.begun, event],
                    f"gfn {event.gfn:#x} level {event.level} is mapped while "
                    f"{one.unmap.start:#x}-{one.unmap.end:#x} is invalidated",
                )  # fmt: skip


RULES: Final = (
    Rule(
        "leaf-inside-invalidation",
        "no fault maps a page between begin and end of an invalidation of its hva",
        "is_page_fault_stale()",
        _needs,
        _leaves_inside,
        True,
    ),
)
