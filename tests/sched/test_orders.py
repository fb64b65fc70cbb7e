# SPDX-License-Identifier: GPL-2.0-only
"""Strategies that know what tasks are about to touch: POS, SURW, reads-from constraints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from difffuzz.sched import Mutex, Task
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.sites import NOWHERE, Sites
from difffuzz.sched.strategy import Pos, RandomWalk, ScheduleStrategy, Strategy, Surw
from difffuzz.sched.strategy.reads_from import Constraint, Pair, ReadsFrom
from difffuzz.sched.strategy.trail import Noted

Access = tuple[str, bool]


def run(strategy: Strategy, *tasks: Sequence[Access]) -> list[tuple[int, str]]:
    """Which task touched what, in that order."""
    sched = Interleaver(strategy, 10_000)
    log: list[tuple[int, str]] = []

    def body(number: int, accesses: Sequence[Access]) -> None:
        for what, write in accesses:
            sched.point(what, write)
            log.append((number, what))

    bodies: list[tuple[Task, Callable[[], None]]] = []
    for number, accesses in enumerate(tasks):
        task = sched.add_task(f"t{number}", number)
        bodies.append((task, lambda number=number, accesses=accesses: body(number, accesses)))  # type: ignore[misc]
    sched.run(bodies)
    return log


def test_accesses_that_race_with_nobody_take_no_chance_from_those_that_do() -> None:
    late = [*[("own", True)] * 20, ("x", False)]
    early = [("x", True)]

    def reads_first(make: Callable[[Random], Strategy]) -> int:
        logs = [run(make(Random(seed)), late, early) for seed in range(300)]
        return sum(log.index((0, "x")) < log.index((1, "x")) for log in logs)

    assert reads_first(lambda rng: RandomWalk(rng, 0.0)) == 0
    # The write has the lowest of 22 priorities.
    assert 4 <= reads_first(Pos) <= 30


def test_racing_accesses_get_new_priorities() -> None:
    # With priorities that stay, the task that is first once would be first throughout.
    logs = {
        tuple(run(Pos(Random(seed)), [("x", True)] * 3, [("x", True)] * 3)) for seed in range(400)
    }
    assert len(logs) == 20


def test_all_orders_of_interesting_accesses_are_equally_likely() -> None:
    short, long = [("x", True)], [("x", True), ("own", True)] * 5

    def places(make: Callable[[Random], Strategy]) -> Counter[int]:
        found: Counter[int] = Counter()
        for seed in range(600):
            order = [number for number, what in run(make(Random(seed)), short, long) if what == "x"]
            found[order.index(0)] += 1
        return found

    uniform = places(lambda rng: Surw(rng, {"x"}, {0: 1.0, 1: 5.0}))
    assert all(70 <= uniform[place] <= 130 for place in range(6))
    assert places(lambda rng: RandomWalk(rng, 0.0))[5] < 30


def test_surw_goes_on_where_nothing_was_expected_or_whose_turn_it_is_has_ended() -> None:
    tasks = [("x", True)] * 2, [("x", True)] * 2
    for expected in ({}, {0: 9.0}, {0: 0.0, 1: 0.0}):
        log = run(Surw(Random(1), {"x"}, expected), *tasks)
        assert Counter(number for number, _ in log) == {0: 2, 1: 2}


SET_THEN_LOOK = [("a", True), ("b", True)], [("a", False), ("b", False)]


def test_sites_are_shared_by_tasks_at_one_place() -> None:
    sites = Sites()
    noted = Noted(ScheduleStrategy(()), sites)
    run(noted, SET_THEN_LOOK[0], *SET_THEN_LOOK)
    assert sites.whats[1:] == ["a", "b", "a", "b"]
    assert sites.writes[1:] == [True, True, False, False]
    assert [(site, change) for _, site, change, _ in noted.steps] == [
        (1, NOWHERE), (2, NOWHERE), (1, 1), (2, 2), (3, 1), (4, 2),
    ]  # fmt: skip
    assert noted.steps[4][3] == 1, "changed by the other"


def looks(constraints: list[Constraint], seed: int) -> list[tuple[int, str]]:
    """Sites are numbered as in the test above, whatever comes first."""
    sites = Sites()
    run(Noted(ScheduleStrategy(()), sites), *SET_THEN_LOOK)
    return run(ReadsFrom(Random(seed), sites, constraints), *SET_THEN_LOOK)


def test_constraints_are_obeyed_whatever_the_priorities() -> None:
    torn = [Constraint(Pair(3, 1)), Constraint(Pair(4, NOWHERE))]
    for seed in range(30):
        assert looks(torn, seed) == [(0, "a"), (1, "a"), (1, "b"), (0, "b")]
    never = [Constraint(Pair(3, 1), wanted=False)]
    for seed in range(30):
        log = looks(never, seed)
        assert log.index((1, "a")) < log.index((0, "a"))


def test_a_constraint_that_cannot_be_met_costs_nothing() -> None:
    backwards = [Constraint(Pair(3, NOWHERE)), Constraint(Pair(3, 1)), Constraint(Pair(4, 1))]
    for seed in range(30):
        assert len(looks(backwards, seed)) == 4


def test_a_lock_that_a_task_waits_for_was_not_taken_yet() -> None:
    sites = Sites()
    noted = Noted(ScheduleStrategy(((3, 1),)), sites)
    sched = Interleaver(noted, 100)
    lock = Mutex(sched, "m")

    def body() -> None:
        lock.lock()
        sched.point("x")
        lock.unlock()

    tasks = [sched.add_task(f"t{number}", number) for number in range(2)]
    sched.run([(task, body) for task in tasks])
    takes = [step for step in noted.steps if sites.whats[step[1]] == "m"]
    assert [number for number, _, _, _ in takes] == [0, 1]
    assert takes[1][3] == 0, "changed by the first"
    held = {use[2] for use in noted.uses["x"]}
    assert held == {frozenset([("m", True)])}
