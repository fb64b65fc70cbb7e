# SPDX-License-Identifier: GPL-2.0-only
"""Rules over single changes of SPTEs, and over what a task does right beside one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from .events import Changed, Event, PageEvent, PageFault, Requested, SpteSet
from .layout import absent, frozen, leaf, mmio, pages, pfn, present, table
from .lines import Lost
from .reading import Trace
from .slots import TracedSlot
from .told import Finding, Rule, found


def _pfn_changes(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    for event in _changes(trace):
        both = leaf(event.old, event.level) and leaf(event.new, event.level)
        if both and pfn(event.old) != pfn(event.new):
            yield found(
                "pfn-changed-without-zap", [event],
                f"gfn {event.gfn:#x} level {event.level}: pfn {pfn(event.old):#x} became "
                f"{pfn(event.new):#x} with no zap between",
            )  # fmt: skip


def _tables_replaced(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    """6.1 zaps the table after the event of the change, 7.3 before it; both in the same task."""
    by_task: dict[int, list[Event]] = {}
    for event in [*trace.events, Lost(0)]:
        if isinstance(event, Lost):
            # Where events are missing, the zap may be among them.
            for events in by_task.values():
                yield from _replaced_by(events)
            by_task.clear()
        elif isinstance(event, Changed | PageEvent | SpteSet | Requested | PageFault):
            by_task.setdefault(event.line.pid, []).append(event)


def _replaced_by(events: list[Event]) -> Iterator[Finding]:
    """Of one task, between two gaps."""
    zapped: set[tuple[int, int]] = set()
    for event, after in pairwise(events):
        if isinstance(event, PageEvent) and event.zapped:
            zapped.add((event.gfn, event.level))
        elif isinstance(event, Changed) and _drops_table(event):
            key = (event.gfn, event.level - 1)
            follows = isinstance(after, PageEvent) and (after.gfn, after.level) == key
            if key not in zapped and not follows:
                yield found(
                    "table-replaced-unzapped", [event, after],
                    f"gfn {event.gfn:#x} level {event.level}: the page table below went, and its "
                    "task has no kvm_mmu_prepare_zap_page for it",
                )  # fmt: skip
            zapped.discard(key)


def _drops_table(event: Changed) -> bool:
    if not table(event.old, event.level):
        return False
    return not table(event.new, event.level) or pfn(event.old) != pfn(event.new)


def _misaligned(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    for event in trace.events:
        if isinstance(event, Changed):
            if event.gfn & (pages(event.level) - 1):
                text = f"gfn {event.gfn:#x} is not that of an SPTE of level {event.level}"
                yield found("misaligned", [event], text)
            spte = event.new
        elif isinstance(event, SpteSet):
            spte = event.spte
        else:
            continue
        if leaf(spte, event.level) and pfn(spte) & (pages(event.level) - 1):
            text = f"gfn {event.gfn:#x}: a leaf of level {event.level} at pfn {pfn(spte):#x}"
            yield found("misaligned", [event], text)


def _invariants(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    layout = trace.layout
    assert layout is not None
    for event in _changes(trace):
        new = event.new
        if not leaf(new, event.level):
            continue
        if new & layout.mmu_writable and not new & layout.host_writable:
            what = "MMU-writable, but not host-writable"
        elif new & 2 and not new & layout.mmu_writable:
            what = "writable, but not MMU-writable"
        else:
            continue
        yield found("writable-invariant", [event], f"gfn {event.gfn:#x}: {new:#x} is {what}")


def _nonpresent(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    for event in _changes(trace):
        if present(event.old) or present(event.new) or frozen(event.new):
            continue
        if not mmio(event.old) and not mmio(event.new):
            text = (
                f"gfn {event.gfn:#x}: {event.old:#x}, which is not present, became {event.new:#x}"
            )
            yield found("nonpresent-changed", [event], text)


def _changes(trace: Trace) -> Iterator[Changed]:
    return (event for event in trace.events if isinstance(event, Changed))


def _has_changes(trace: Trace, slots: list[TracedSlot]) -> str:
    if not trace.tdp:
        return "kvm_tdp_mmu_spte_changed"
    known = [event for event in _changes(trace) if not (absent(event.new) and absent(event.old))]
    if not any(present(event.old) or present(event.new) for event in known):
        return "SPTEs with bit 11, as kernels from 5.12 on have them"
    return ""


def has_leaves(trace: Trace, slots: list[TracedSlot]) -> str:
    """What is missing for rules that read bits of leaves."""
    lacks = _has_changes(trace, slots)
    if lacks or trace.layout is not None:
        return lacks
    return "a host-writable leaf, which tells EPT from NPT"


def has_zaps(trace: Trace, slots: list[TracedSlot]) -> str:
    """What is missing for rules that look for zaps of page tables."""
    lacks = _has_changes(trace, slots)
    zaps = any(isinstance(event, PageEvent) and event.zapped for event in trace.events)
    return lacks or ("" if zaps else "kvm_mmu_prepare_zap_page")


def _has_sptes(trace: Trace, slots: list[TracedSlot]) -> str:
    there = any(isinstance(event, Changed | SpteSet) for event in trace.events)
    return "" if there else "kvm_tdp_mmu_spte_changed or kvm_mmu_set_spte"


RULES: Final = (
    Rule(
        "pfn-changed-without-zap",
        "a present leaf is zapped before another pfn takes its place",
        "handle_changed_spte()",
        _has_changes,
        _pfn_changes,
    ),
    Rule(
        "table-replaced-unzapped",
        "a page table that leaves the tree is zapped by who took it out",
        "handle_removed_pt()",
        has_zaps,
        _tables_replaced,
    ),
    Rule(
        "misaligned",
        "gfn and pfn of an SPTE are aligned to its level",
        "handle_changed_spte()",
        _has_sptes,
        _misaligned,
    ),
    Rule(
        "writable-invariant",
        "writable implies MMU-writable implies host-writable",
        "check_spte_writable_invariants()",
        has_leaves,
        _invariants,
    ),
    Rule(
        "nonpresent-changed",
        "what is not present changes to or from an MMIO SPTE, or is frozen",
        "handle_changed_spte()",
        _has_changes,
        _nonpresent,
    ),
)
