# SPDX-License-Identifier: GPL-2.0-only
"""The part of the benchmark that is about concurrent runs: points, switches, searches, threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any

from greenlet import GreenletExit

from difffuzz import program
from difffuzz.engine import concurrent, lockstep
from difffuzz.engine.explore import explore
from difffuzz.program import Program
from difffuzz.sched import Scheduler, interleave
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.strategy import RandomWalk, RoundRobin, ScheduleStrategy, Strategy
from difffuzz.sides import open_side

LEGACY = open_side("legacy")
TDP = open_side("tdp")
RACE = """\
difffuzz program v1
config vcpus=2
slot 0 gfn=0x0 pages=0x400 area=1
vcpu0: write gfn=0x1
vmm: sync
vcpu0: write gfn=0x1
vcpu1: read gfn=0x2
host0: dontneed area=1 page=0x0 n=0x8
"""


class ThreadCoroutine:
    """Stands in for a greenlet with a thread of the operating system: one runs, the others wait."""

    current: ThreadCoroutine

    def __init__(self, body: Callable[[], None] | None = None) -> None:
        self._body = body
        self._go = threading.Semaphore(0)
        self._parent = ThreadCoroutine.current if body is not None else self
        self._started = body is None
        self._thrown: BaseException | type[BaseException] | None = None
        self.dead = False

    def switch(self) -> None:
        """Lets this one run; the caller waits until somebody lets it run again."""
        caller = ThreadCoroutine.current
        ThreadCoroutine.current = self
        if self._started:
            self._go.release()
        else:
            self._started = True
            threading.Thread(target=self._run, daemon=True).start()
        caller._go.acquire()
        thrown, caller._thrown = caller._thrown, None
        if thrown is not None:
            raise thrown

    def throw(self, error: type[BaseException]) -> None:
        """Lets this one run into an exception."""
        if self._started:
            self._thrown = error
            self.switch()
        self.dead = True

    def _run(self) -> None:
        assert self._body is not None
        try:
            self._body()
        except GreenletExit:
            pass
        except BaseException as error:
            self._parent._thrown = error
        self.dead = True
        ThreadCoroutine.current = self._parent
        self._parent._go.release()


ThreadCoroutine.current = ThreadCoroutine()


def point_cost(make: Callable[[], Strategy], tasks: int, points: int) -> float:
    """Nanoseconds for one preemption point of a task that does nothing else."""
    sched = Interleaver(make(), points * tasks * 4)

    def body() -> None:
        for _ in range(points):
            sched.point("x")

    bodies = [(sched.add_task(f"t{number}", number), body) for number in range(tasks)]
    begin = time.perf_counter()
    sched.run(bodies)
    return (time.perf_counter() - begin) / (points * tasks) * 1e9


def loop_cost(points: int) -> float:
    """Nanoseconds for one point of lockstep's scheduler."""
    sched = Scheduler(points * 2)
    begin = time.perf_counter()
    for _ in range(points):
        sched.point("x")
    return (time.perf_counter() - begin) / points * 1e9


def rate(run: Callable[[Program], Any], programs: list[Program], seconds: float) -> float:
    """Programs a second."""
    done = 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        run(programs[done % len(programs)])
        done += 1
    return done / (time.perf_counter() - begin)


def walk(program: Program) -> Strategy:
    """Preempts about every twenty steps."""
    return RandomWalk(Random(len(program.ops)), 20.0)


def on_threads(run: Callable[[], float]) -> float:
    """Runs something with threads in the place of greenlets."""
    kept = interleave.greenlet, interleave.getcurrent
    try:
        interleave.greenlet = ThreadCoroutine  # type: ignore[misc,assignment]
        interleave.getcurrent = lambda: ThreadCoroutine.current  # type: ignore[assignment,return-value]
        return run()
    finally:
        interleave.greenlet, interleave.getcurrent = kept  # type: ignore[misc]


def concurrent_figures(seconds: float, points: int) -> dict[str, float]:
    """Every figure about concurrent runs."""
    programs = [program.generate(Random(seed), concurrent=True) for seed in range(200)]

    def under_walk(one: Program) -> None:
        concurrent.run(one, LEGACY, TDP, strategy=walk, max_steps=60_000)

    in_lockstep = rate(
        lambda one: lockstep.run(one, LEGACY, TDP, max_steps=60_000), programs, seconds
    )
    at_once = rate(under_walk, programs, seconds)
    threads = on_threads(lambda: rate(under_walk, programs, seconds))
    race = program.parse(RACE)
    begin = time.perf_counter()
    found = explore(race, LEGACY, TDP, 1)
    spent = time.perf_counter() - begin
    still = point_cost(lambda: ScheduleStrategy(()), 2, points)
    switching = point_cost(lambda: RoundRobin(1), 2, points // 10)
    on_thread = on_threads(lambda: point_cost(lambda: RoundRobin(1), 2, points // 100))
    return {
        "point_in_lockstep_ns": loop_cost(points),
        "point_without_switch_ns": still,
        "point_with_switch_ns": switching,
        "point_with_switch_on_threads_ns": on_thread,
        "switch_to_no_switch": switching / still,
        "threads_to_greenlets_switch": on_thread / switching,
        "lockstep_programs_per_second": in_lockstep,
        "concurrent_programs_per_second": at_once,
        "concurrent_to_lockstep": at_once / in_lockstep,
        "on_threads_programs_per_second": threads,
        "greenlets_to_threads": at_once / threads,
        "explore_schedules": found.schedules,
        "explore_schedules_per_second": found.schedules / spent,
    }
