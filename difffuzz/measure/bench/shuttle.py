# SPDX-License-Identifier: GPL-2.0-only
"""The benchmarks of shuttle (github.com/awslabs/shuttle), restated: events a second.

`lock` and `counter`: 10,000 events by 5 tasks or by 100, an event is one increment under a mutex or
of an atomic.  `buffer`: three producers and three consumers of a queue of three places, 54 events,
again and again.  Under PCT of depth two, and under a walk that decides at each point.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from random import Random

from ...sched import Mutex, Task
from ...sched.interleave import Interleaver
from ...sched.strategy import Pct, RandomWalk, Strategy

EVENTS = 10_000
NARROW, WIDE = 5, 100
SIDE = 3
"""Producers, consumers, places."""
TURNS = SIDE * SIDE
"""Events of each."""
STEPS = 2_000_000
Body = Callable[[], None]
Bodies = Callable[[Interleaver], list[Body]]


class Condition:
    """A condition variable: who is told goes on when it has the mutex again."""

    def __init__(self, sched: Interleaver, name: str, mutex: Mutex) -> None:
        self._sched = sched
        self._name = name
        self._mutex = mutex
        self._waiters: list[Task] = []

    def wait(self) -> None:
        """Until somebody tells, without the mutex meanwhile."""
        task = self._sched.current
        self._waiters.append(task)
        self._mutex.unlock()
        self._sched.wait(self._name, lambda: task not in self._waiters)
        self._mutex.lock()

    def tell(self) -> None:
        """The one that waits longest, if any does."""
        self._sched.point(self._name)
        if self._waiters:
            self._waiters.pop(0)


def lock(tasks: int, sched: Interleaver) -> list[Body]:
    """Each task takes and drops the mutex all the time."""
    mutex, count = Mutex(sched, "lock"), [0]

    def body() -> None:
        for _ in range(EVENTS // tasks):
            mutex.lock()
            count[0] += 1
            mutex.unlock()

    return [body] * tasks


def counter(tasks: int, sched: Interleaver) -> list[Body]:
    """Each task adds to an atomic."""
    count = [0]

    def body() -> None:
        for _ in range(EVENTS // tasks):
            sched.point("counter")
            count[0] += 1

    return [body] * tasks


def buffer(sched: Interleaver) -> list[Body]:
    """Producers wait for space, consumers for elements."""
    mutex = Mutex(sched, "lock")
    space = Condition(sched, "has_space", mutex)
    elements = Condition(sched, "has_elements", mutex)
    count = [0]

    def work(change: int, hopeless: int, mine: Condition, theirs: Condition) -> None:
        for _ in range(TURNS):
            mutex.lock()
            while True:
                sched.point("count", False)
                if count[0] != hopeless:
                    break
                mine.wait()
            sched.point("count")
            count[0] += change
            theirs.tell()
            mutex.unlock()

    consume: Body = partial(work, -1, 0, elements, space)
    produce: Body = partial(work, 1, SIDE, space, elements)
    return [*[consume] * SIDE, *[produce] * SIDE]


def run(bodies: Bodies, strategy: Strategy) -> int:
    """Runs the tasks once; returns the steps they took."""
    sched = Interleaver(strategy, STEPS)
    tasks = [
        (sched.add_task(f"t{number}", number), body) for number, body in enumerate(bodies(sched))
    ]
    sched.run(tasks)
    return sched.steps


def events_per_second(seconds: float) -> dict[str, float]:
    """For each benchmark and strategy; each runs about so long."""
    programs: dict[str, tuple[Bodies, int]] = {
        "lock_narrow": (partial(lock, NARROW), EVENTS),
        "lock_wide": (partial(lock, WIDE), EVENTS),
        "counter_narrow": (partial(counter, NARROW), EVENTS),
        "counter_wide": (partial(counter, WIDE), EVENTS),
        "buffer": (buffer, 2 * SIDE * TURNS),
    }
    found = {}
    for name, (bodies, events) in programs.items():
        length = run(bodies, RandomWalk(Random(0), 0.0))
        strategies: dict[str, Callable[[Random], Strategy]] = {
            "pct": partial(Pct, depth=2, length=length),
            "random": partial(RandomWalk, gap=0.0),
        }
        for way, make in strategies.items():
            done, begin = 0, time.perf_counter()
            while time.perf_counter() - begin < seconds:
                run(bodies, make(Random(done)))
                done += 1
            found[f"{name}_{way}"] = done * events / (time.perf_counter() - begin)
    return found
