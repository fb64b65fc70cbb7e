# SPDX-License-Identifier: GPL-2.0-only
"""Tasks that run by turns: preemption, blocking, relaxing, deadlocks, the step limit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from random import Random

import pytest

from difffuzz.sched import KernelSplat, Mutex, Rcu, RwLock, SpinLock, Task
from difffuzz.sched.choice import Moment
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.strategy import (
    NO_STEP,
    Check,
    Nondeterminism,
    Pct,
    RandomWalk,
    Record,
    RoundRobin,
    ScheduleStrategy,
    Strategy,
)

from .metrics import Metrics
from .replay import Replay, ReplayError

Body = Callable[[Interleaver, list[str]], None]


def run(strategy: Strategy, *bodies: Body, limit: int = 1000) -> str:
    """The letters that the tasks wrote, in the order in which they did."""
    sched = Interleaver(strategy, limit)
    log: list[str] = []
    tasks: list[tuple[Task, Callable[[], None]]] = []
    for number, body in enumerate(bodies):
        task = sched.add_task(f"t{number}", number)
        tasks.append((task, partial(body, sched, log)))
    sched.run(tasks)
    return "".join(log)


def letters(text: str) -> Body:
    """A task that writes letters, with a point before each."""

    def body(sched: Interleaver, log: list[str]) -> None:
        for letter in text:
            sched.point("log")
            log.append(letter)

    return body


def test_without_a_strategy_tasks_run_to_their_ends_by_number() -> None:
    assert run(ScheduleStrategy(()), letters("abc"), letters("xyz")) == "abcxyz"


def test_a_schedule_names_the_point_and_the_task() -> None:
    # The first choice is step 1, a's point is step 2.
    assert run(ScheduleStrategy(((3, 1),)), letters("abc"), letters("xyz")) == "axyzbc"
    assert run(ScheduleStrategy(((3, 1), (5, 0))), letters("abc"), letters("xyz")) == "axbcyz"


def test_a_schedule_passes_over_a_task_that_cannot_run() -> None:
    assert run(ScheduleStrategy(((3, 7), (4, 1))), letters("abc"), letters("xyz")) == "abxyzc"


def test_round_robin_gives_every_task_its_quantum() -> None:
    assert run(RoundRobin(1), letters("abc"), letters("xyz")) == "axbycz"


def test_random_strategies_depend_on_the_seed_only() -> None:
    bodies = letters("abcdef"), letters("uvwxyz"), letters("123456")
    for make in (lambda rng: RandomWalk(rng, 3.0), lambda rng: Pct(rng, 3, 18)):
        runs = [run(make(Random(seed)), *bodies) for seed in range(40)]
        assert runs == [run(make(Random(seed)), *bodies) for seed in range(40)]
        assert len(set(runs)) > 20


def test_pct_of_depth_one_never_preempts_and_of_depth_two_once_at_most() -> None:
    def switches(log: str) -> int:
        return sum((one in "abcd") != (other in "abcd") for one, other in pairwise(log))

    for depth in (1, 2):
        logs = [
            run(Pct(Random(seed), depth, 9), letters("abcd"), letters("wxyz"))
            for seed in range(200)
        ]
        counts = {switches(log) for log in logs}
        assert counts == ({1} if depth == 1 else {1, 2})
        # Of the three places inside each task, all are met.
        assert len(set(logs)) == (2 if depth == 1 else 8)


def test_a_recorded_schedule_replays_and_a_wrong_one_is_noticed() -> None:
    bodies = letters("abcdef"), letters("uvwxyz")
    for seed in range(20):
        record = Record(RandomWalk(Random(seed), 2.0))
        log = run(record, *bodies)
        assert run(Replay(record.switches), *bodies) == log
        assert run(ScheduleStrategy(record.switches), *bodies) == log
    with pytest.raises(ReplayError):
        run(Replay(((3, 1), (4, 5))), *bodies)


def test_metrics_tell_preemptions_from_choices_that_had_to_be_made() -> None:
    metrics = Metrics(ScheduleStrategy(((3, 1),)))
    run(metrics, letters("abc"), letters("xyz"))
    assert (metrics.preemptions, metrics.forced, metrics.widest) == (1, 2, 2)


def test_check_finds_a_choice_that_is_not_the_strategys() -> None:
    coin = [0]

    def moody(sched: Interleaver, log: list[str]) -> None:
        coin[0] += 1
        for _ in range(coin[0]):
            sched.point("log")

    first = Check(RoundRobin(1))
    run(first, letters("abc"), letters("xyz"))
    again = Check(RoundRobin(1), first.choices)
    run(again, letters("abc"), letters("xyz"))
    first = Check(RoundRobin(1))
    run(first, moody, letters("xyz"))
    with pytest.raises(Nondeterminism):
        run(Check(RoundRobin(1), first.choices), moody, letters("xyz"))


def test_whoever_waits_for_a_lock_goes_on_when_it_is_free() -> None:
    locks: list[SpinLock] = []

    def critical(text: str) -> Body:
        def body(sched: Interleaver, log: list[str]) -> None:
            if not locks:
                locks.append(SpinLock(sched, "lock"))
            locks[0].lock()
            letters(text)(sched, log)
            locks[0].unlock()

        return body

    assert run(RoundRobin(1), critical("abc"), critical("xyz")) == "abcxyz"


def test_a_yielding_holder_lets_the_waiter_in() -> None:
    locks: list[RwLock] = []

    def holder(sched: Interleaver, log: list[str]) -> None:
        locks.append(RwLock(sched, "mmu_lock"))
        locks[0].write_lock()
        for letter in "abc":
            sched.point("log")
            log.append(letter)
            locks[0].cond_resched_write()
        locks[0].write_unlock()

    def waiter(sched: Interleaver, log: list[str]) -> None:
        locks[0].read_lock()
        log.append("x")
        locks[0].read_unlock()

    assert run(ScheduleStrategy(()), holder, waiter) == "abcx"
    locks.clear()
    # Preempted before b, the holder yields behind it, not at its end.
    assert run(ScheduleStrategy(((4, 1),)), holder, waiter) == "abxc"


def test_a_deadlock_names_who_waits_for_what_of_whom() -> None:
    locks: list[Mutex] = []

    def cross(first: int) -> Body:
        def body(sched: Interleaver, log: list[str]) -> None:
            if not locks:
                locks.extend(Mutex(sched, f"m{n}", n + 1) for n in range(2))
            mine, other = locks[first], locks[1 - first]
            mine.lock()
            sched.relax()
            sched.wait(other.name, lambda: other.writer is None)

        return body

    with pytest.raises(KernelSplat, match=r"t0 waits for m1 \(held by t1\), t1 waits for m0"):
        run(ScheduleStrategy(()), cross(0), cross(1))


def test_a_loop_that_relaxes_lets_others_run() -> None:
    flag: list[int] = []

    def spins(sched: Interleaver, log: list[str]) -> None:
        while not flag:
            sched.relax()
        log.append("s")

    def sets(sched: Interleaver, log: list[str]) -> None:
        sched.point("flag")
        flag.append(1)
        log.append("f")

    assert run(ScheduleStrategy(()), spins, sets) == "fs"
    flag.clear()
    assert run(ScheduleStrategy(()), spins, spins, sets) == "fss"


def test_those_that_only_spin_do_not_keep_the_third_from_running() -> None:
    flag: list[int] = []
    picks: list[tuple[int, ...]] = []

    class Unfair:
        """Prefers the lowest numbers whenever it may."""

        next_step = NO_STEP

        def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
            return sched.current

        def pick(self, sched: Moment, enabled: list[Task]) -> Task:
            picks.append(tuple(task.number for task in enabled))
            return enabled[0]

    def spins(sched: Interleaver, log: list[str]) -> None:
        while not flag:
            sched.relax()

    def sets(sched: Interleaver, log: list[str]) -> None:
        flag.append(1)

    run(Unfair(), spins, spins, sets)
    assert (2,) in picks


def test_an_endless_loop_ends_at_the_step_limit() -> None:
    def spins(sched: Interleaver, log: list[str]) -> None:
        while True:
            sched.relax()

    with pytest.raises(KernelSplat, match="step limit"):
        run(ScheduleStrategy(()), spins, spins)


def test_a_splat_of_one_task_ends_the_others() -> None:
    ended: list[str] = []

    def bad(sched: Interleaver, log: list[str]) -> None:
        sched.point("log")
        raise KernelSplat("warn", "here", "bad")

    def other(sched: Interleaver, log: list[str]) -> None:
        try:
            sched.point("log")
            sched.point("log")
        finally:
            ended.append("other")

    with pytest.raises(KernelSplat, match="bad"):
        run(RoundRobin(1), other, bad)
    assert ended == ["other"]


def test_rcu_callbacks_run_as_soon_as_the_last_reader_leaves() -> None:
    rcus: list[Rcu] = []

    def reader(sched: Interleaver, log: list[str]) -> None:
        rcus.append(Rcu(sched))
        rcus[0].read_lock()
        log.append("r")
        sched.point("log")
        log.append("u")
        rcus[0].read_unlock()
        log.append("e")

    def frees(sched: Interleaver, log: list[str]) -> None:
        rcus[0].read_lock()
        rcus[0].call_rcu(log.append, "f")
        rcus[0].read_unlock()
        log.append("w")

    # The reader is in while the callback is queued: it runs when the reader leaves.
    assert run(ScheduleStrategy(((3, 1),)), reader, frees) == "rwufe"
    rcus.clear()
    assert run(ScheduleStrategy(()), reader, frees) == "ruefw"
