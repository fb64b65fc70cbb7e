# SPDX-License-Identifier: GPL-2.0-only
"""Tasks: spawning, waiting, parking, exceptions, the step limit."""

from __future__ import annotations

import pytest

from difffuzz.sched import KernelSplat, Scheduler
from difffuzz.sched.core import OUT_OF_STEPS


def test_run_as_changes_the_current_task_and_back() -> None:
    sched = Scheduler()
    task = sched.add_task("vcpu0")
    assert sched.run_as(task, lambda: sched.current) is task
    assert sched.current is sched.idle
    with pytest.raises(ZeroDivisionError):
        sched.run_as(task, lambda: 1 // 0)
    assert sched.current is sched.idle
    assert sched.tasks == [sched.idle, task]


def test_a_spawned_task_runs_until_it_waits() -> None:
    sched = Scheduler()
    task = sched.add_task("worker")
    log: list[str] = []

    def body() -> None:
        log.append(sched.current.name)
        sched.wait("work", lambda: "work" in log)
        log.append("done")

    sched.spawn(task, body)
    assert (log, task.alive, task.blocked_on) == (["worker"], True, "work")
    assert sched.current is sched.idle
    sched.resume(task)  # in vain
    assert (log, task.blocked_on) == (["worker"], "work")
    log.append("work")
    sched.resume(task)
    assert log == ["worker", "work", "done"]
    assert (task.alive, task.blocked_on) == (False, None)


def test_a_task_without_a_greenlet_of_its_own_cannot_wait() -> None:
    sched = Scheduler()
    task = sched.add_task("vcpu0")
    sched.run_as(task, sched.wait, "nothing", lambda: True)
    with pytest.raises(KernelSplat, match="deadlock: vcpu0: waits for Godot"):
        sched.run_as(task, sched.wait, "Godot", lambda: False)


def test_an_exception_of_a_spawned_task_comes_out_where_it_is_resumed() -> None:
    sched = Scheduler()
    task = sched.add_task("worker")
    ready: list[int] = []

    def body() -> None:
        sched.wait("work", lambda: bool(ready))
        raise KernelSplat("warn", "body", "it failed")

    sched.spawn(task, body)
    ready.append(1)
    with pytest.raises(KernelSplat, match="warn: body: it failed"):
        sched.resume(task)
    assert sched.current is sched.idle
    assert not task.alive


def test_a_park_point_stops_only_a_task_that_shall_park() -> None:
    sched = Scheduler()
    parks, passes = sched.add_task("parks"), sched.add_task("passes")
    log: list[str] = []

    def body() -> None:
        sched.park_point()
        sched.park_point()  # once is all
        log.append(sched.current.name)

    parks.want_park = True
    sched.spawn(parks, body)
    assert (parks.parked, sched.parked, log) == (True, [parks], [])
    sched.spawn(passes, body)
    assert log == ["passes"]
    sched.resume(parks)
    assert (parks.parked, sched.parked, log) == (False, [], ["passes", "parks"])


def test_the_step_limit_ends_an_endless_loop() -> None:
    sched = Scheduler(step_limit=100)
    for _ in range(100):
        sched.point()
    with pytest.raises(KernelSplat, match="step limit") as caught:
        sched.point()
    assert (caught.value.oracle, caught.value.where) == ("progress", OUT_OF_STEPS)


def test_lockstep_never_reschedules() -> None:
    assert not Scheduler().need_resched()
