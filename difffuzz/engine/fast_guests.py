# SPDX-License-Identifier: GPL-2.0-only
"""Two records of a program whose guest has page tables: where these leave no choice, they agree.

What guest_lockstep.py compares step by step, of a program that was played on both sides.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from difffuzz.engine.guest_lockstep import WRITES
from difffuzz.native.abi.describe import place
from difffuzz.native.abi.played import PlayedOutcome, Result
from difffuzz.program import Kind
from difffuzz.sides.paging_guest import ACCESS_OF
from difffuzz.sides.played import OUTCOME_WORDS, RESULTS, Played

KIND: Final = place(PlayedOutcome, "kind")
RESULT: Final = place(PlayedOutcome, "result")
VALUE: Final = place(PlayedOutcome, "value")
COMPARABLE: Final = place(PlayedOutcome, "comparable")
FOREIGN: Final = place(PlayedOutcome, "foreign")
ACCESSES: Final = frozenset({*ACCESS_OF, Kind.PTE})


def guests_differ(left: Played, right: Played, allowed: Counter[str]) -> str:
    """What is otherwise on one side than on the other; empty if nothing is.

    `allowed` counts what rules excuse.
    """
    ours, theirs = left.outcomes(), right.outcomes()
    if len(ours) != len(theirs) or ours[KIND::OUTCOME_WORDS] != theirs[KIND::OUTCOME_WORDS]:
        return "other operations"
    for played in (left, right):
        allowed.update(played.guest_rules())
    allowed["foreign-tables"] += left.foreign_at_start
    comparable = not (left.foreign_at_start or right.foreign_at_start)
    foreign = left.foreign_at_start
    for at in range(0, len(ours), OUTCOME_WORDS):
        kind = ours[at + KIND]
        mine, other = ours[at + RESULT], theirs[at + RESULT]
        if comparable and kind in ACCESSES and Result.NOTHING not in (mine, other):
            if not (ours[at + COMPARABLE] and theirs[at + COMPARABLE]):
                if kind in WRITES and Result.OK in (mine, other):
                    comparable = False
                    allowed["stale-translation"] += 1
            elif mine != other:
                return f"translation: guest-{RESULTS[mine]}-{RESULTS[other]}"
            elif ours[at + VALUE] != theirs[at + VALUE]:
                return "translation: guest-value"
        if ours[at + FOREIGN] and not foreign:
            allowed["foreign-tables"] += 1
        foreign = bool(ours[at + FOREIGN])
        comparable = comparable and not (foreign or theirs[at + FOREIGN])
    return ""
