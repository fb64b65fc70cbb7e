# SPDX-License-Identifier: GPL-2.0-only
"""RCU: grace periods and the order of deferred frees.  SRCU: synchronize() waits for readers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difffuzz.sched import KernelSplat, Rcu, Scheduler, SpinLock, Srcu


@pytest.fixture
def sched() -> Scheduler:
    return Scheduler()


def test_a_callback_waits_for_the_sections_open_when_it_was_queued(sched: Scheduler) -> None:
    rcu = Rcu(sched)
    early, late = sched.add_task("early"), sched.add_task("late")
    freed: list[str] = []
    sched.run_as(early, rcu.read_lock)
    rcu.call_rcu(freed.append, "table")
    sched.run_as(late, rcu.read_lock)
    assert rcu.run_callbacks() == 0
    sched.run_as(early, rcu.read_unlock)
    # `late` began after the table was cut off: it cannot have seen it.
    assert rcu.run_callbacks() == 1
    assert freed == ["table"]


def test_a_section_that_began_anew_does_not_hold_a_callback_up(sched: Scheduler) -> None:
    rcu = Rcu(sched)
    reader = sched.add_task("reader")
    freed: list[str] = []
    sched.run_as(reader, rcu.read_lock)
    rcu.call_rcu(freed.append, "table")
    sched.run_as(reader, rcu.read_unlock)
    sched.run_as(reader, rcu.read_lock)
    rcu.run_callbacks()
    assert freed == ["table"]


def test_sections_nest(sched: Scheduler) -> None:
    rcu = Rcu(sched)
    freed: list[str] = []
    rcu.read_lock()
    rcu.call_rcu(freed.append, "table")
    rcu.read_lock()
    rcu.read_unlock()
    assert rcu.read_lock_held()
    assert rcu.run_callbacks() == 0
    rcu.read_unlock()
    assert not rcu.read_lock_held()
    assert rcu.run_callbacks() == 1


def test_callbacks_run_in_the_order_of_their_queueing(sched: Scheduler) -> None:
    rcu = Rcu(sched)
    reader = sched.add_task("reader")
    freed: list[int] = []
    rcu.call_rcu(freed.append, 1)
    sched.run_as(reader, rcu.read_lock)
    for n in (2, 3):
        rcu.call_rcu(freed.append, n)
    rcu.run_callbacks()
    assert freed == [1]
    sched.run_as(reader, rcu.read_unlock)
    rcu.run_callbacks()
    assert freed == [1, 2, 3]


def test_a_callback_may_queue_another(sched: Scheduler) -> None:
    rcu = Rcu(sched)
    freed: list[str] = []

    def free_parent(name: str) -> None:
        freed.append(name)
        rcu.call_rcu(freed.append, "child")

    rcu.call_rcu(free_parent, "parent")
    rcu.barrier()
    assert freed == ["parent", "child"]


def test_unlock_needs_a_lock(sched: Scheduler) -> None:
    with pytest.raises(KernelSplat, match="rcu: rcu_read_unlock: without"):
        Rcu(sched).read_unlock()


def test_a_task_goes_back_to_user_space_outside_any_section(sched: Scheduler) -> None:
    rcu, lock = Rcu(sched), SpinLock(sched, "mmu_lock")
    sched.current.assert_idle("ioctl")
    rcu.read_lock()
    with pytest.raises(KernelSplat, match="rcu: ioctl: returns inside"):
        sched.current.assert_idle("ioctl")
    rcu.read_unlock()
    lock.lock()
    with pytest.raises(KernelSplat, match="lock: ioctl: returns with mmu_lock held"):
        sched.current.assert_idle("ioctl")


def test_barrier_waits_for_a_reader_of_another_task(sched: Scheduler) -> None:
    rcu = Rcu(sched)
    reader, waiter = sched.add_task("reader"), sched.add_task("waiter")
    log: list[str] = []

    def wait() -> None:
        rcu.barrier()
        log.append("passed")

    sched.run_as(reader, rcu.read_lock)
    rcu.call_rcu(log.append, "freed")
    sched.spawn(waiter, wait)
    assert (log, waiter.blocked_on) == ([], "an RCU grace period")
    sched.run_as(reader, rcu.read_unlock)
    sched.resume(waiter)
    assert log == ["freed", "passed"]


def test_barrier_and_synchronize_sleep(sched: Scheduler) -> None:
    rcu, srcu, lock = Rcu(sched), Srcu(sched, "srcu"), SpinLock(sched, "mmu_lock")
    lock.lock()
    for sleep in (rcu.barrier, srcu.synchronize):
        with pytest.raises(KernelSplat, match="sleeps while mmu_lock is held"):
            sleep()


def test_synchronize_waits_for_the_readers_that_are_in(sched: Scheduler) -> None:
    srcu = Srcu(sched, "kvm->srcu")
    updater = sched.add_task("updater")
    old = srcu.read_lock()
    sched.spawn(updater, srcu.synchronize)
    assert updater.blocked_on == "readers of kvm->srcu"
    new = srcu.read_lock()
    assert new != old
    srcu.read_unlock(old)
    # A reader that came later does not hold it up.
    sched.resume(updater)
    assert not updater.alive
    assert srcu.read_lock_held()
    srcu.read_unlock(new)
    assert not srcu.read_lock_held()


def test_synchronize_without_readers_passes(sched: Scheduler) -> None:
    srcu = Srcu(sched, "kvm->srcu")
    for _ in range(3):
        srcu.synchronize()
    srcu.read_unlock(srcu.read_lock())


def test_synchronize_inside_its_own_read_section_is_a_deadlock(sched: Scheduler) -> None:
    srcu = Srcu(sched, "kvm->srcu")
    srcu.read_lock()
    with pytest.raises(KernelSplat, match="deadlock: main: waits for readers of kvm->srcu"):
        srcu.synchronize()


def test_srcu_unlock_needs_the_index_of_a_reader(sched: Scheduler) -> None:
    srcu = Srcu(sched, "kvm->srcu")
    idx = srcu.read_lock()
    with pytest.raises(KernelSplat, match="without a reader"):
        srcu.read_unlock(idx + 1)
    srcu.read_unlock(idx)
    with pytest.raises(KernelSplat, match="without a reader"):
        srcu.read_unlock(idx)


MOVES = st.lists(st.tuples(st.sampled_from(["lock", "unlock", "free", "run"]), st.integers(0, 3)))


@settings(max_examples=300)
@given(MOVES)
def test_nothing_is_freed_under_a_reader_that_may_see_it(moves: list[tuple[str, int]]) -> None:
    sched = Scheduler()
    rcu = Rcu(sched)
    tasks = [sched.add_task(f"task{n}") for n in range(4)]
    depth = [0] * 4
    sees: list[set[int]] = [set() for _ in tasks]  # what was not cut off when the section began
    freed: list[int] = []
    queued = 0
    for move, who in moves:
        if move == "lock":
            depth[who] += 1
            sched.run_as(tasks[who], rcu.read_lock)
        elif move == "unlock" and depth[who]:
            depth[who] -= 1
            if not depth[who]:
                sees[who].clear()
            sched.run_as(tasks[who], rcu.read_unlock)
        elif move == "free":
            for n in range(4):
                if depth[n]:
                    sees[n].add(queued)
            rcu.call_rcu(freed.append, queued)
            queued += 1
        elif move == "run":
            rcu.run_callbacks()
        assert freed == list(range(len(freed)))
        assert not any(seen & set(freed) for seen in sees)
    for n, task in enumerate(tasks):
        for _ in range(depth[n]):
            sched.run_as(task, rcu.read_unlock)
    rcu.barrier()
    assert freed == list(range(queued))
