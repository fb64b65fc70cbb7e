# SPDX-License-Identifier: GPL-2.0-only
"""What tasks may still fight over, as learned from runs."""

from __future__ import annotations

from difffuzz.sched.strategy.contention import Contention, contend
from difffuzz.sched.transitions import NO_LOCKS, Decision, Locks

LOCKED: Locks = frozenset({("lock", True)})
SHARED: Locks = frozenset({("lock", False)})


def transition(
    task: int, what: str, write: bool, live: dict[int, int], locks: Locks = NO_LOCKS
) -> Decision:
    """A transition of a task that touches one thing while these tasks are at these operations."""
    decision = Decision(1, task, tuple(live), task, False)
    decision.phase = 1
    decision.live = live
    decision.accesses.append((what, write, locks))
    return decision


def test_two_reads_do_not_contend() -> None:
    contention = Contention()
    read = transition(0, "spte", False, {0: 1, 1: 1})
    assert not contention.learn([read, transition(1, "spte", False, {0: 1, 1: 1})])
    assert not contention.matters(read)


def test_a_write_that_is_learned_late_makes_a_read_matter() -> None:
    contention = Contention()
    read = transition(0, "spte", False, {0: 1, 1: 1})
    contention.learn([read])
    assert not contention.matters(read)
    assert contention.learn([transition(1, "spte", True, {0: 1, 1: 1})]) == {(1, "spte")}
    assert contention.matters(read)
    assert not contention.learn([transition(1, "spte", True, {0: 1, 1: 1})])


def test_what_the_other_one_has_behind_it_does_not_matter() -> None:
    contention = Contention()
    contention.learn([transition(1, "spte", True, {0: 1, 1: 1})])
    assert contention.matters(transition(0, "spte", False, {0: 1, 1: 1}))
    assert not contention.matters(transition(0, "spte", False, {0: 1, 1: 2}))
    assert not contention.matters(transition(0, "spte", False, {0: 1}))


def test_a_lock_keeps_them_apart_unless_both_share_it() -> None:
    write, read = (0, True, LOCKED), (1, False, LOCKED)
    assert not contend(write, read)
    assert not contend((0, True, SHARED), read)
    assert contend((0, True, SHARED), (1, False, SHARED))
    assert contend((0, True, LOCKED), (1, False, NO_LOCKS))
