# SPDX-License-Identifier: GPL-2.0-only
"""What faults asked for last before a line of a trace, and first after it."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable

from .events import Event, Requested
from .layout import pages
from .lines import Lost

_BLOCK = pages(2)


class AskedBefore:
    """kvm_mmu_spte_requested of a trace, by 2M of guest memory."""

    def __init__(self, events: Iterable[Event | Lost]) -> None:
        self._blocks: dict[int, list[Requested]] = defaultdict(list)
        for event in events:
            if isinstance(event, Requested):
                self._blocks[event.gfn // _BLOCK].append(event)

    def around(self, line: int, first: int, end: int) -> tuple[Requested | None, Requested | None]:
        """The last before the line and the first after it in [first, end), in gfns; the range of
        less than 2M takes all of its 2M, for that is what a huge page of it maps."""
        before: Requested | None = None
        after: Requested | None = None
        for block in range(first // _BLOCK, (end - 1) // _BLOCK + 1):
            asked = self._blocks.get(block, [])
            at = bisect(asked, line, key=lambda one: one.line.number)
            if at and (before is None or asked[at - 1].line.number > before.line.number):
                before = asked[at - 1]
            if at < len(asked) and (after is None or asked[at].line.number < after.line.number):
                after = asked[at]
        return before, after
