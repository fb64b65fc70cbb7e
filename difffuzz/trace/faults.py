# SPDX-License-Identifier: GPL-2.0-only
"""Faults of a trace: what one task did between kvm_page_fault and the end of its handler."""

from __future__ import annotations

from collections.abc import Iterable

from .events import (
    Answer,
    Changed,
    Event,
    FastFault,
    PageFault,
    Requested,
    SpteSet,
    VcpuEvent,
)
from .layout import pages
from .lines import Lost


class Fault:
    """One fault.  `whole`: no event was lost while it ran.  `last`: its last line's number."""

    __slots__ = (
        "changes",
        "fast",
        "first",
        "last",
        "requested",
        "ret",
        "ret_line",
        "sets",
        "whole",
    )

    def __init__(self, first: PageFault) -> None:
        self.first = first
        self.last = first.line.number
        self.requested: Requested | None = None
        self.sets: list[SpteSet] = []
        self.changes: list[Changed] = []
        self.fast: FastFault | None = None
        self.ret: int | None = None
        self.ret_line = 0
        self.whole = True

    @property
    def gfn(self) -> int:
        """The guest page."""
        return self.first.address >> 12

    def covers(self, gfn: int, level: int) -> bool:
        """True if an SPTE at gfn of that level maps the fault's page."""
        size = pages(level)
        return gfn & -size == self.gfn & -size

    def set_for_it(self) -> SpteSet | None:
        """The SPTE that was set for its page, not one that was set ahead for a neighbour."""
        return next((one for one in self.sets if self.covers(one.gfn, one.level)), None)

    def access(self, intel: bool) -> str:
        """ "read", "write" or "exec"."""
        code = self.first.code
        if code & 2:
            return "write"
        return "exec" if code & (4 if intel else 16) else "read"


def faults_of(events: Iterable[Event | Lost]) -> list[Fault]:
    """Faults in the order of their first lines."""
    faults: list[Fault] = []
    running: dict[int, Fault] = {}
    for event in events:
        if isinstance(event, Lost):
            for fault in running.values():
                fault.whole = False
            running.clear()
            continue
        pid = event.line.pid
        if isinstance(event, PageFault):
            running[pid] = Fault(event)
            faults.append(running[pid])
        elif isinstance(event, VcpuEvent):
            running.pop(pid, None)
        elif pid in running:
            _note(running[pid], event)
            if isinstance(event, Answer):
                del running[pid]
    return faults


def _note(fault: Fault, event: Event) -> None:
    if isinstance(event, Requested):
        fault.requested = event
    elif isinstance(event, SpteSet):
        fault.sets.append(event)
    elif isinstance(event, Changed):
        fault.changes.append(event)
    elif isinstance(event, FastFault):
        fault.fast = event
    elif isinstance(event, Answer):
        fault.ret, fault.ret_line = event.ret, event.line.number
    else:
        return
    fault.last = event.line.number
