# SPDX-License-Identifier: GPL-2.0-only
"""Memory maps while two threads of user space change them at once."""

from __future__ import annotations

from difffuzz.oracle.versions import Versions
from difffuzz.program import Config, Kind, Op, SlotSpec
from difffuzz.program.limits import VMM_THREAD, WORKER_THREAD

SLOT = SlotSpec(0, 0, 0x0, 0x10, 1, 0)
DELETE = Op(Kind.MEMSLOT_DELETE, VMM_THREAD, (0, 0))
CREATE = Op(Kind.MEMSLOT_CREATE, VMM_THREAD, (0, 0, 0x0, 0x10, 1, 0, 0))
MOVE = Op(Kind.MEMSLOT_MOVE, VMM_THREAD, (0, 0, 0x8))
ADD = Op(Kind.TRACK_ADD, WORKER_THREAD, (0, 0x9))
NX = Op(Kind.NX, WORKER_THREAD, (1,))


def versions(*slots: SlotSpec) -> Versions:
    return Versions(Config(slots=slots))


def states(found: Versions, now: int) -> list[tuple[bool, bool]]:
    """Is the slot there, and is NX on, in each map that may be in force?"""
    return [((0, 0) in memory.slots, memory.nx) for memory in found.during(now, now)]


def test_each_of_two_open_changes_may_have_been_made_or_not() -> None:
    found = versions(SLOT)
    found.begin(DELETE, 1)
    found.begin(NX, 2)
    assert states(found, 3) == [(True, False), (False, False), (True, True), (False, True)]
    found.finish(NX, 0, 4)
    assert states(found, 5) == [(True, True), (False, True)]
    found.finish(DELETE, 0, 6)
    assert states(found, 7) == [(False, True)]
    assert not found.unclear


def test_tracking_that_found_no_slot_tracks_nothing_in_the_new_one() -> None:
    for value in (0, 1):
        found = versions()
        found.begin(CREATE, 1)
        found.begin(ADD, 2)
        found.finish(CREATE, 0, 3)
        found.finish(ADD, value, 4)
        assert found.newest.tracked(0, 0x9) == bool(value)
        assert not found.unclear


def test_tracking_that_came_before_the_slot_it_is_of() -> None:
    for value in (0, 1):
        found = versions()
        found.begin(ADD, 1)
        found.begin(CREATE, 2)
        found.finish(ADD, value, 3)
        found.finish(CREATE, 0, 4)
        assert found.newest.tracked(0, 0x9) == bool(value)


def test_which_place_of_a_slot_that_moves_is_tracked_is_not_told() -> None:
    found = versions(SLOT)
    found.begin(MOVE, 1)
    found.begin(ADD, 2)
    found.finish(ADD, 1, 3)
    assert found.unclear


def test_a_slot_that_moves_away_takes_what_is_tracked_with_it() -> None:
    found = versions(SLOT)
    found.begin(MOVE._replace(args=(0, 0, 0x40)), 1)
    found.begin(ADD, 2)
    found.finish(ADD, 1, 3)
    found.finish(MOVE, 0, 4)
    assert not found.unclear
    assert not found.newest.tracked(0, 0x9)


def test_a_count_that_another_thread_took_first() -> None:
    # Two remove what was added once: the one that was last found nothing.
    found = versions(SLOT)
    add, mine = ADD._replace(thread=VMM_THREAD), Op(Kind.TRACK_REMOVE, WORKER_THREAD, ADD.args)
    theirs = mine._replace(thread=VMM_THREAD)
    for op, now in ((add, 1), (mine, 2)):
        found.begin(op, now)
    found.finish(add, 1, 3)
    found.begin(theirs, 4)
    found.finish(theirs, 1, 5)
    found.finish(mine, 0, 6)
    assert not found.newest.tracked(0, 0x9)
    assert not found.unclear
