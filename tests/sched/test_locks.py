# SPDX-License-Identifier: GPL-2.0-only
"""Locks: mode, order, recursion, sleeping; contention; any sequence leaves a consistent state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difffuzz.sched import KernelSplat, Mutex, Rcu, RwLock, RwSemaphore, Scheduler, SpinLock
from difffuzz.sched.locks import Lock, Rank


@pytest.fixture
def sched() -> Scheduler:
    return Scheduler()


def refused(oracle: str, text: str, body: Callable[[], object]) -> None:
    with pytest.raises(KernelSplat, match=text) as caught:
        body()
    assert caught.value.oracle == oracle


def test_modes(sched: Scheduler) -> None:
    lock = RwLock(sched, "mmu_lock", Rank.MMU_LOCK)
    for check in (lock.assert_held, lock.assert_held_read, lock.assert_held_write):
        refused("lock", "mmu_lock is not held", lambda check=check: check("here"))  # type: ignore[misc]
    lock.read_lock()
    lock.assert_held("here")
    lock.assert_held_read("here")
    refused("lock", "not held for write", lambda: lock.assert_held_write("here"))
    assert (lock.held(), lock.readers, lock.writer) == (True, [sched.current], None)
    lock.read_unlock()
    lock.write_lock()
    lock.assert_held("here")
    lock.assert_held_write("here")
    refused("lock", "not held for read", lambda: lock.assert_held_read("here"))
    assert (lock.held(), lock.readers, lock.writer) == (True, [], sched.current)
    lock.write_unlock()
    assert not lock.held()


def test_a_splat_says_where(sched: Scheduler) -> None:
    with pytest.raises(KernelSplat) as caught:
        SpinLock(sched, "mmu_lock").assert_held("kvm_zap_gfn_range")
    assert (caught.value.oracle, caught.value.where) == ("lock", "kvm_zap_gfn_range")


def test_held_means_by_the_current_task(sched: Scheduler) -> None:
    lock = RwLock(sched, "mmu_lock")
    lock.write_lock()
    other = sched.add_task("other")
    assert not sched.run_as(other, lock.held)
    refused("lock", "without it", lambda: sched.run_as(other, lock.write_unlock))
    lock.assert_held_write("here")


@pytest.mark.parametrize("first", ["read", "write"])
@pytest.mark.parametrize("second", ["read", "write"])
def test_no_recursion(sched: Scheduler, first: str, second: str) -> None:
    lock = RwLock(sched, "mmu_lock")
    getattr(lock, f"{first}_lock")()
    refused("lock", "taken again", getattr(lock, f"{second}_lock"))
    getattr(lock, f"{first}_unlock")()
    getattr(lock, f"{second}_lock")()


def test_a_lock_is_released_in_the_mode_it_is_held(sched: Scheduler) -> None:
    lock = RwLock(sched, "mmu_lock")
    lock.read_lock()
    refused("lock", "released for write", lock.write_unlock)
    lock.read_unlock()
    refused("lock", "released for read", lock.read_unlock)


def test_order_is_by_rank(sched: Scheduler) -> None:
    outer = Mutex(sched, "slots_lock", Rank.SLOTS_LOCK)
    inner = RwLock(sched, "mmu_lock", Rank.MMU_LOCK)
    innermost = SpinLock(sched, "pages_lock", Rank.PAGES_LOCK)
    outer.lock()
    inner.read_lock()
    innermost.lock()
    innermost.unlock()
    # Released out of order: what counts is what is still held.
    outer.unlock()
    refused("lock", "taken inside mmu_lock: wrong order", outer.lock)
    inner.read_unlock()
    outer.lock()
    assert sched.current.held == [outer]


def test_two_locks_of_one_rank_have_no_order(sched: Scheduler) -> None:
    one, other = RwSemaphore(sched, "mmap_lock"), RwSemaphore(sched, "mmap_lock of another")
    one.down_read()
    refused("lock", "wrong order", other.down_read)


@pytest.mark.parametrize("sleeper", [Mutex, RwSemaphore])
def test_no_sleeping_lock_under_a_spinning_one(sched: Scheduler, sleeper: type[Lock]) -> None:
    spin = SpinLock(sched, "spin", 1)
    lock = sleeper(sched, "sleeper", 2)
    take = lock.lock if isinstance(lock, Mutex) else lock.down_write  # type: ignore[attr-defined]
    spin.lock()
    refused("lock", "sleeps while spin is held", take)
    refused("lock", "sleeps while spin is held", lambda: sched.might_sleep("topup"))
    spin.unlock()
    take()
    sched.might_sleep("topup")


def test_no_sleeping_lock_in_an_rcu_section(sched: Scheduler) -> None:
    rcu = Rcu(sched)
    spin, mutex = SpinLock(sched, "spin", 1), Mutex(sched, "mutex", 2)
    rcu.read_lock()
    spin.lock()
    spin.unlock()
    refused("rcu", "sleeps inside an RCU read section", mutex.lock)
    rcu.read_unlock()
    mutex.lock()


def test_waiting_for_what_nobody_gives_is_a_deadlock(sched: Scheduler) -> None:
    lock = RwLock(sched, "mmu_lock")
    lock.read_lock()
    other = sched.add_task("other")
    sched.run_as(other, lock.read_lock)
    sched.run_as(other, lock.read_unlock)
    refused("deadlock", "other: waits for mmu_lock", lambda: sched.run_as(other, lock.write_lock))
    assert not lock.is_contended()


def test_a_writer_waits_for_readers_and_readers_for_a_writer(sched: Scheduler) -> None:
    lock = RwLock(sched, "mmu_lock")
    log: list[str] = []
    writer, reader = sched.add_task("writer"), sched.add_task("reader")

    def write() -> None:
        lock.write_lock()
        log.append("writes")
        sched.wait("its work", lambda: "work done" in log)
        lock.write_unlock()

    def read() -> None:
        lock.read_lock()
        log.append("reads")
        lock.read_unlock()

    lock.read_lock()
    sched.spawn(writer, write)
    assert writer.blocked_on == "mmu_lock"
    assert lock.is_contended()
    lock.read_unlock()
    sched.resume(writer)
    assert (lock.writer, writer.blocked_on, log) == (writer, "its work", ["writes"])
    sched.spawn(reader, read)
    assert (reader.blocked_on, log) == ("mmu_lock", ["writes"])
    log.append("work done")
    sched.resume(writer)
    assert not writer.alive
    sched.resume(reader)
    assert not reader.alive
    assert log == ["writes", "work done", "reads"]
    assert (lock.writer, lock.readers, lock.waiters) == (None, [], 0)


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_lock_break_drops_the_lock_for_a_waiter_only(sched: Scheduler, mode: str) -> None:
    lock = RwLock(sched, "mmu_lock")
    waiter = sched.add_task("waiter")
    getattr(lock, f"{mode}_lock")()
    lock_break = getattr(lock, f"cond_resched_{mode}")
    assert not lock_break()
    sched.spawn(waiter, lock.write_lock)
    before = sched.budget
    assert lock_break()
    assert sched.budget < before  # the points at which the waiter may run
    assert lock.held()
    getattr(lock, f"{mode}_unlock")()
    sched.resume(waiter)
    assert lock.writer is waiter


LOCKS = (("mutex", 10), ("spin", 20), ("rw", 30))
MOVES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["mutex", "spin", "rw"]),
        st.sampled_from(["take", "take shared", "give", "give shared"]),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(MOVES)
def test_any_sequence_leaves_a_consistent_state(moves: list[tuple[int, str, str]]) -> None:
    sched = Scheduler()
    locks: dict[str, RwLock] = {}
    for name, rank in LOCKS:
        locks[name] = RwLock(sched, name, rank)
    tasks = [sched.add_task(f"task{n}") for n in range(3)]
    writer: dict[str, int] = {}
    readers: dict[str, set[int]] = {name: set() for name, _ in LOCKS}
    ranks = dict(LOCKS)
    for who, name, move in moves:
        lock, shared = locks[name], move.endswith("shared")
        mine = [n for n, _ in LOCKS if writer.get(n) == who or who in readers[n]]
        if move.startswith("take"):
            free = name not in writer and (shared or not readers[name])
            expected = (
                "lock"
                if any(ranks[held] >= ranks[name] for held in mine)
                else ""
                if free
                else "deadlock"
            )
            act = lock.read_lock if shared else lock.write_lock
        else:
            holds = who in readers[name] if shared else writer.get(name) == who
            expected = "" if holds else "lock"
            act = lock.read_unlock if shared else lock.write_unlock
        got = ""
        try:
            sched.run_as(tasks[who], act)
        except KernelSplat as splat:
            got = splat.oracle
        assert got == expected
        if not got:
            if shared:
                readers[name] ^= {who}
            elif move == "take":
                writer[name] = who
            else:
                del writer[name]
        for of, one in locks.items():
            assert one.writer is (tasks[writer[of]] if of in writer else None)
            assert set(map(tasks.index, one.readers)) == readers[of]
            assert one.waiters == 0
        for n, task in enumerate(tasks):
            held = [of for of in locks if writer.get(of) == n or n in readers[of]]
            assert sorted(lock.name for lock in task.held) == sorted(held)
            assert task.atomic == len(held)
