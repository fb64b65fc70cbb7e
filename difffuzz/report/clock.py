# SPDX-License-Identifier: GPL-2.0-only
"""When the events of a recording happened, in nanoseconds of a clock that counts steps.

A preemption point takes a microsecond; what happens between two of them comes a nanosecond after
what came before.  In lockstep both sides begin each operation at the same time.
"""

from __future__ import annotations

from difffuzz.report.recording import Recording, What

STEP_NS = 1000


def times(recording: Recording) -> list[int]:
    """For each event; on each side they grow."""
    found: list[int] = []
    last = [0, 0]
    offset = [0, 0]
    starts: dict[tuple[int, int], int] = {}
    before: tuple[int, int] | None = None
    for event in recording.events:
        side = event.side
        if event.what is What.BEGINS and not recording.concurrent:
            key = event.op, event.thread
            if side == 0 or before is None or key != before:
                starts[key] = max(last) + STEP_NS
            before = key
            offset[side] = starts[key] - event.step * STEP_NS
        at = max(offset[side] + event.step * STEP_NS, last[side] + 1)
        last[side] = at
        found.append(at)
    return found
