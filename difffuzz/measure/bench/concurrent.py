# SPDX-License-Identifier: GPL-2.0-only
"""The part of the benchmark that is about concurrent runs: points, switches, searches, threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from ...engine import concurrent, lockstep
from ...engine.explore import explore
from ...program import Program, generate, parse
from ...sched import Scheduler
from ...sched.interleave import Interleaver
from ...sched.strategy import RandomWalk, RoundRobin, ScheduleStrategy, Strategy
from ...sides import open_side
from .threads import on_threads

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


def rate(run: Callable[[Program], object], programs: list[Program], seconds: float) -> float:
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


def concurrent_figures(seconds: float, points: int) -> dict[str, float]:
    """Every figure about concurrent runs."""
    programs = [generate(Random(seed), concurrent=True) for seed in range(200)]

    def under_walk(one: Program) -> None:
        concurrent.run(one, LEGACY, TDP, strategy=walk, max_steps=60_000)

    in_lockstep = rate(
        lambda one: lockstep.run(one, LEGACY, TDP, max_steps=60_000), programs, seconds
    )
    at_once = rate(under_walk, programs, seconds)
    threads = on_threads(lambda: rate(under_walk, programs, seconds))
    race = parse(RACE)
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
