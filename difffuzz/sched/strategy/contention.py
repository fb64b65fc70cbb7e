# SPDX-License-Identifier: GPL-2.0-only
"""What tasks may still fight over: where a preemption can show something new.

Contended is what another task may still touch in the phase, in the operation it is at or a later
one, if one of the two changes it and no lock keeps them apart (the lock itself is contended then,
where it is taken, and where it is released as long as somebody may wait for it).  Who touches what
is learned from runs.
"""

from __future__ import annotations

from collections.abc import Hashable

from difffuzz.sched.transitions import NO_LOCKS, Access, Decision, Locks

Use = tuple[int, bool, Locks]
"""A task, whether it changes the thing, and the locks it holds."""
Place = tuple[int, Hashable]
"""A phase, and what is touched in it."""
NOBODY: dict[Use, int] = {}
UNUSED: dict[Hashable, dict[Use, int]] = {}


class Contention:
    """What was learned so far."""

    __slots__ = ("_contending", "_uses")

    def __init__(self) -> None:
        self._uses: dict[int, dict[Hashable, dict[Use, int]]] = {}
        self._contending: dict[tuple[Use, Use], bool] = {}

    def learn(self, decisions: list[Decision]) -> set[Place]:
        """Notes who uses what how, up to which operation; returns what is contended anew."""
        found: set[Place] = set()
        for decision in decisions:
            number = decision.chosen
            at = decision.live[number]
            table = self._uses.setdefault(decision.phase, {})
            for what, write, locks in decision.accesses:
                if locks is None:
                    continue
                use = number, write, locks
                uses = table.get(what)
                if uses is None:
                    uses = table[what] = {}
                if uses.get(use, -1) < at:
                    uses[use] = at
                    if any(self._contend(use, one) for one in uses):
                        found.add((decision.phase, what))
        return found

    def matters(self, decision: Decision) -> bool:
        """May another task that is live still touch what this transition touches?"""
        table = self._uses.get(decision.phase, UNUSED)
        for one in decision.accesses:
            uses = table.get(one[0])
            if uses and self._is_contended(one, decision, uses):
                return True
        return False

    def torn(self, decision: Decision) -> frozenset[Hashable]:
        """Those of the decision's torn SPTEs that another task may still touch."""
        table = self._uses.get(decision.phase, UNUSED)
        return frozenset(
            one[0]
            for one in decision.accesses
            if one[0] in decision.torn
            and self._is_contended(one, decision, table.get(one[0], NOBODY))
        )

    def _is_contended(self, access: Access, decision: Decision, uses: dict[Use, int]) -> bool:
        live, (_, write, locks) = decision.live, access
        mine = decision.chosen, write, NO_LOCKS if locks is None else locks
        for use, last in uses.items():
            if live.get(use[0], last + 1) <= last and self._contend(mine, use):
                return True
        return False

    def _contend(self, one: Use, other: Use) -> bool:
        key = one, other
        known = self._contending.get(key)
        if known is None:
            known = self._contending[key] = contend(one, other)
        return known


def contend(one: Use, other: Use) -> bool:
    """Can two accesses to the same thing come in either order, and does it matter?"""
    if one[0] == other[0] or not (one[1] or other[1]):
        return False
    exclusive = dict(other[2])
    return not any(name in exclusive and (mode or exclusive[name]) for name, mode in one[2])
